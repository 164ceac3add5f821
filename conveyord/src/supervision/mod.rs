//! The supervision contract: what a manager may do and must know, and what has to hold before a task ends.
//!
//! Rules live here; rows are read and written through `store`, panes through `tmux`. Nothing here sends text by
//! itself: [`finish::MessageSender`] does.

pub mod acks;
pub mod context;
pub mod criteria;
pub mod decisions;
pub mod finish;
pub mod handoffs;
mod limits;
pub mod manager_config;
pub mod negotiation;
pub mod permissions;
pub mod stop;
