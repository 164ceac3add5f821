//! A page of a listing that is read whole: those that are short, or have few rows.

use crate::{error::Error, refusal::Kind, words::shown};
use conveyor_proto::types::common::Page;
use std::fmt::Display;

/// The rows of a page.
///
/// # Errors
/// `unknown_place`.
pub(super) fn of<T, Id: Display>(
    mut rows: Vec<T>,
    page: &Page,
    id: impl Fn(&T) -> Id,
) -> Result<Vec<T>, Error> {
    if let Some(after) = &page.after {
        let at = rows.iter().position(|row| id(row).to_string() == *after).ok_or_else(|| unknown(after))?;
        rows.drain(..=at);
    }
    if let Some(limit) = page.limit {
        rows.truncate(usize::try_from(limit.get()).unwrap_or(usize::MAX));
    }
    Ok(rows)
}

fn unknown(after: &str) -> Error {
    Error::not_found(Kind::UnknownPlace, format!("the listing has no row \"{}\"", shown(after)))
        .hint("it may have left the listing; begin at the first page again")
}
