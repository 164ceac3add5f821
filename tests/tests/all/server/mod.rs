//! The socket, with clients of every kind and number.

mod hostile_clients;
mod many_clients;
