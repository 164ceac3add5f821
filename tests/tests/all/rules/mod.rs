//! What holds for the text of the project, its code and its documents.

mod arrows;
mod layout;
mod links;
mod methods;
mod openrpc;
mod project;
mod rust;
mod tidy;
