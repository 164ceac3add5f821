//! Parameter and result types, one file per method namespace.
//!
//! Results are the JSON objects of the command line: every key is always present, `null` where there is
//! nothing to say, unless a field's documentation says otherwise.

pub mod ack;
pub mod approval;
pub mod binding;
pub mod command;
pub mod common;
pub mod compat;
pub mod create;
pub mod criteria;
pub mod cycle;
pub mod daemon;
pub mod discover;
pub mod dispatch;
pub mod doctor;
pub mod drift;
pub mod events;
pub mod finish;
pub mod handoff;
pub mod history;
pub mod inbox;
pub mod manager_config;
pub mod overview;
pub mod pair;
pub mod pane;
pub mod rollout;
pub mod run;
pub mod session;
pub mod start;
pub mod supervision;
pub mod task;
pub mod wait;
pub mod worker;
