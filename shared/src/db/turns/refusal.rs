//! Why a turn isn't begun, in words for the client.

use crate::db::failure::too_large;
use crate::error::{Code, Error, Fault};
use crate::model::{Ask, QuotaState, Turn, TurnRules, limits};

pub(in crate::db) fn turn_running() -> Error {
    Error::new(
        Code::TurnRunning,
        "An answer is still being written in this conversation. Stop it, or wait for its end; nothing was stored.",
    )
    .with_header("retry-after", "1")
}

pub(super) fn too_many_running(rules: &TurnRules) -> Error {
    let most = rules.quota.running.unwrap_or_default();
    let detail = format!(
        "As many answers are being written for you as may be at a time: {most}. Stop one, or wait for its end; nothing \
         was stored."
    );
    Error::new(Code::QuotaExceeded, detail).with_header("retry-after", "1")
}

pub(super) fn quota_exceeded(rules: &TurnRules, state: QuotaState) -> Error {
    let error =
        Error::new(Code::QuotaExceeded, "This window's quota is used up; Retry-After says when the next begins.");
    let error = error.with_header("retry-after", state.resets_in.as_secs_f64().ceil().to_string());
    rules.quota.headers(&state).into_iter().fold(error, |error, (name, value)| error.with_header(name, value))
}

/// Why the function stored nothing.
pub(super) fn refused(fault: &str, turn: &Turn) -> Error {
    if let Ask::Continue { pointer, .. } = &turn.ask {
        return not_continued(fault, pointer);
    }
    let invalid = |pointer: &str, detail: &'static str| Error::invalid(vec![Fault::body(pointer, detail)]);
    let large = |pointer: &str, bytes: usize| {
        let detail = format!("is too large: it takes more than {bytes} bytes once it is stored");
        too_large(vec![Fault::body(pointer, detail)])
    };
    let reused = |pointer: &str, what: &'static str, detail: &'static str| Error {
        faults: vec![Fault::body(pointer, detail)],
        ..Error::new(Code::IdempotencyKeyReused, what)
    };
    let unknown = |pointer: &str| Error {
        faults: vec![Fault::body(pointer, "is no message of this conversation")],
        ..Error::not_found("message")
    };
    match fault {
        "unknown_conversation" => Error::not_found("conversation"),
        "unknown_message" => unknown("/messageId"),
        "unknown_parent" => unknown("/parentId"),
        "unknown_question" => invalid(
            "/messages",
            "ends with a question whose id has the form of our ids, and is none of this conversation",
        ),
        "other_parent" => invalid("/parentId", "is not the parent of the message that messageId names"),
        "unknown_target" => invalid("/messageId", "is no message of this conversation"),
        "answers_no_question" => invalid("/messageId", "answers no question"),
        "target_is_no_question" => invalid("/messageId", "is no question: only what the user wrote can be edited"),
        "nothing_to_answer" => invalid("/messages", "is missing, and the conversation has no question"),
        "client_id_reused" => reused(
            "/messages",
            "The question's id was used before, with other content or another parent. Nothing was stored; an edit names it \
             in messageId.",
            "ends with a question whose id was used before, with other content or another parent",
        ),
        "key_reused" => reused(
            "/messageId",
            "The Idempotency-Key was used before, for another question. Nothing was stored.",
            "answers another question than the request that had this Idempotency-Key",
        ),
        "metadata_too_large" => large("/messages", limits::METADATA_BYTES),
        "too_large" => large("/messages", limits::PAGE_BYTES),
        _ => Error::internal("the database's functions report a fault that isn't known here"),
    }
}

/// Why an answer doesn't go on; `parts` is where its parts stood in the request.
fn not_continued(fault: &str, parts: &str) -> Error {
    let invalid = |pointer: &str, detail: &'static str| Error::invalid(vec![Fault::body(pointer, detail)]);
    match fault {
        "unknown_conversation" => Error::not_found("conversation"),
        "unknown_target" => Error {
            faults: vec![Fault::body("/messageId", "is no message of this conversation")],
            ..Error::not_found("message")
        },
        "target_waits_for_nothing" => invalid("/messageId", "is no answer of the agent's, and waits for nothing"),
        "target_left" => {
            invalid("/messageId", "isn't the last message that a reader sees: the conversation has gone on")
        }
        "calls_wait" => invalid(
            parts,
            "leaves a call of a tool without an answer: each that waits needs an output, an error, or a decision where the \
             agent asked for one",
        ),
        "answered_otherwise" => Error {
            faults: vec![Fault::body(parts, "answers calls that wait for nothing, or were answered otherwise")],
            ..Error::new(
                Code::Conflict,
                "The calls of this answer were answered already. Nothing was stored; load the conversation again.",
            )
        },
        "too_large" => too_large(vec![Fault::body(
            parts,
            format!("is too large: with it the message takes more than {} bytes once it is stored", limits::PAGE_BYTES),
        )]),
        _ => Error::internal("the database's functions report a fault that isn't known here"),
    }
}
