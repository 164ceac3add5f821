//! The supervision contract: what a manager may do, what it must know, and what must hold before a task ends.
//!
//! Rules live here. Rows are read and written through `store`, panes are reached through `sessions`. What
//! must not live here: sending text. [`finish::MessageSender`] is how this room asks for that.

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
