//! What runs on the far side of the socket: example clients and skills.

mod examples;
mod living;
mod skills;
