//! What the end-to-end tests stand on: the harness that runs the built binaries in a world of
//! their own, and the stand-in for Codex with the rollout files that it writes.
//!
//! Nothing in here knows the inside of `conveyord` or `conveyorctl`: both are driven from outside,
//! as a user drives them.

pub mod harness;
pub mod rollout;
pub mod standin;
