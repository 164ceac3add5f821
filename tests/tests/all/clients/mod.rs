//! What runs on the far side of the socket: the clients of `docs/clients`, and the skills.

mod examples;
mod living;
mod skills;
mod typed;
