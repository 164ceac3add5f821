//! Whether a session has been waiting for its rollout for long, and for what. Until it is found nothing of the session
//! is read, so nobody is told of its turns.

use crate::{
    error::Error,
    sessions::{awaited::Awaited, locate::Survey, others::Others},
    store::{Store, sessions::Session},
};
use conveyor_proto::types::doctor::DoctorCheck;

pub(super) async fn check(store: &Store, sessions: &[Session]) -> Result<DoctorCheck, Error> {
    let pending: Vec<Session> = sessions.iter().filter(|session| session.is_pending()).cloned().collect();
    if pending.is_empty() {
        return Ok(DoctorCheck { ok: true, ..DoctorCheck::default() });
    }
    let others = Others::now(store, None).await?;
    let value = format!("{} wait for a rollout", pending.len());
    let look = move || {
        let mut survey = Survey::default();
        let tell = |session: &Session| {
            let (seconds, why) = Awaited::long(session, &mut survey, &others)?;
            Some(format!("{} has been waiting for {seconds:.0} s: {why}", session.name))
        };
        pending.iter().filter_map(tell).collect::<Vec<_>>()
    };
    let long = tokio::task::spawn_blocking(look).await?;
    Ok(DoctorCheck {
        ok: long.is_empty(),
        value: Some(value),
        message: (!long.is_empty()).then(|| long.join("; ")),
        ..DoctorCheck::default()
    })
}
