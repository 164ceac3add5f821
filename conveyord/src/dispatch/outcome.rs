//! What became of a text, in the words of results and rows.

use crate::store::ids::DeliveryId;
use conveyor_proto::types::{
    common::Transport,
    pane::{BlockedBy, DeliveryOutcome, DeliveryProof},
};

/// What holds a text back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub by: BlockedBy,
    /// The question on screen, or how many texts wait.
    pub question: Option<String>,
}

/// What became of a send that had begun or was held back. The constructors take the pane as the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Delivered, held or uncertain.
    pub outcome: DeliveryOutcome,
    /// The way that the text took.
    pub transport: Transport,
    /// The row of the delivery; none when the text is held.
    pub delivery: Option<DeliveryId>,
    /// The proof of a delivered text.
    pub proof: Option<DeliveryProof>,
    /// What holds a held text back.
    pub held: Option<Held>,
    /// Whether something may have reached the session.
    pub started: bool,
    /// Whether everything, Enter included, was sent.
    pub completed: bool,
    /// How many control characters were removed from the text.
    pub stripped: u64,
    /// What remains open, in a sentence for the caller.
    pub note: Option<String>,
}

impl Sent {
    /// A send that panicked: nobody knows how far it came. The panic's text may be the message, so it is not
    /// repeated.
    #[must_use]
    pub fn panicked() -> Self {
        Self::interrupted(None, 0, "the send ended early inside the daemon; its log says where".to_owned())
    }

    pub(super) fn held(held: Held) -> Self {
        let note = match held.by {
            BlockedBy::Draft => "somebody's draft is in the composer; the text is sent when it is gone".to_owned(),
            BlockedBy::Queue => {
                let ahead = held.question.as_deref().unwrap_or_default();
                format!("other texts for this session wait ({ahead}); this one is sent after them")
            }
            BlockedBy::NoCodex => {
                "no Codex takes input in the foreground of the pane; the text is sent when one does".to_owned()
            }
            BlockedBy::PaneChanged => "the pane changed before anything was typed; the text is sent later".to_owned(),
            BlockedBy::SynchronizedPanes => {
                "the panes of the window are synchronized, so all would get the text; it is sent when that is over"
                    .to_owned()
            }
            BlockedBy::InputOff => "the input of the pane is off; the text is sent when it is on".to_owned(),
            BlockedBy::CopyMode => "the pane is in a mode of tmux; the text is sent when that is over".to_owned(),
            by => format!("the pane shows {}; the text is sent when that is over", by.as_str()),
        };
        Self {
            outcome: DeliveryOutcome::Held,
            transport: Transport::Tmux,
            delivery: None,
            proof: None,
            held: Some(held),
            started: false,
            completed: false,
            stripped: 0,
            note: Some(note),
        }
    }

    pub(super) fn complete(
        delivery: DeliveryId,
        proof: Option<DeliveryProof>,
        stripped: u64,
        note: Option<String>,
    ) -> Self {
        let outcome = if proof.is_some() { DeliveryOutcome::Delivered } else { DeliveryOutcome::Uncertain };
        let (transport, delivery) = (Transport::Tmux, Some(delivery));
        Self {
            outcome,
            transport,
            delivery,
            proof,
            held: None,
            started: true,
            completed: true,
            stripped,
            note,
        }
    }

    pub(super) fn interrupted(delivery: Option<DeliveryId>, stripped: u64, note: String) -> Self {
        Self {
            outcome: DeliveryOutcome::Uncertain,
            transport: Transport::Tmux,
            delivery,
            proof: None,
            held: None,
            started: true,
            completed: false,
            stripped,
            note: Some(note),
        }
    }
}
