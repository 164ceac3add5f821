//! The largest text and the largest JSON value that the contract stores.

use crate::error::{Error, Result};
use crate::refusal::Kind;
use conveyor_proto::limits::{MAX_PAYLOAD_BYTES, MAX_TEXT_BYTES};
use serde::Serialize;

/// Refuses a text that is too long. `what` names the text in the message.
///
/// # Errors
/// `text_too_long`.
pub(super) fn text(what: &str, text: &str) -> Result<()> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    let message = format!("{what} is {} bytes long: at most {MAX_TEXT_BYTES} are stored", text.len());
    Err(Error::invalid(Kind::TextTooLong, message).hint("put the text into a file and name the file"))
}

/// Refuses a JSON value that is too large. `what` names the value in the message.
///
/// # Errors
/// `payload_too_large`.
pub(super) fn payload(what: &str, value: &impl Serialize) -> Result<()> {
    let size = serde_json::to_vec(value).map_err(crate::store::StoreError::from)?.len();
    if size <= MAX_PAYLOAD_BYTES {
        return Ok(());
    }
    let message = format!("{what} is {size} bytes of JSON: at most {MAX_PAYLOAD_BYTES} are stored");
    Err(Error::invalid(Kind::PayloadTooLarge, message).hint("put the facts into a file and name the file"))
}
