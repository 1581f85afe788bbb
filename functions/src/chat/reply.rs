//! `POST /v1/chat`

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, BearerToken, Endpoint, EventStream, IdempotencyKey, Input, Method, rate_limit, replayed};
use shared::model::{Turn, TurnStart};
use shared::relay::{Asked, Deadline, Relay};
use shared::ui_stream;

use crate::openapi::chat_request::ChatRequest;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("reply-chat", Method::Post, "/v1/chat").streaming();

/// Stores a question and streams the agent's answer to it; or what its reader answers to calls of tools, and streams what the
/// agent says then.
///
/// Takes what the AI SDK's `useChat` sends. Of that only the ids, the trigger and the last message are read: the history
/// comes from the database. A conversation is made if there is none of that id, unless the id has the form of ours. A question
/// follows `parentId`, or else the last message before it that is stored; what it leaves stays readable. The same question
/// sent again joins its running answer, or replays it; `Idempotency-Key` does the same for `regenerate-message`. While
/// another answer is being written, it is a 409; one that was asked to stop is waited for.
///
/// An answer whose calls wait for the reader goes on in the same message where the last message is the assistant's: each call
/// that waits needs an `output`, an `errorText` or, where the agent asked for one, a decision. Nothing else of that message is read.
/// The same answers sent again get the same stream.
#[utoipa::path(
    post, path = "/v1/chat", operation_id = "reply-chat", tag = "chat",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a regenerate safe to repeat")),
    request_body = ChatRequest,
    responses((status = 200, content_type = "text/event-stream", body = String, description = "A UI message stream", headers(
        ("RateLimit" = Option<String>, description = "What the user has left, where there is a quota"),
        ("RateLimit-Policy" = Option<String>, description = "What a user may use"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` where an earlier request had begun it"),
    )))
)]
pub(crate) async fn reply_chat(
    State(db): State<Db>,
    State(relay): State<Relay>,
    caller: Caller,
    deadline: Deadline,
    BearerToken(token): BearerToken,
    Input { headers: IdempotencyKey(key), body: mut turn, .. }: Input<(), IdempotencyKey, Turn>,
) -> Result<Response, Error> {
    let rules = relay.rules()?;
    relay.check(&turn.ask)?;
    turn.key = key;
    Ok(match db.as_user(&caller).start_turn(&turn, rules).await? {
        TurnStart::Started(started) => {
            let limits = rate_limit(&rules.quota, started.quota.as_ref());
            let asked = Asked { caller, token, conversation_id: turn.conversation_id };
            (limits, EventStream(relay.answer(asked, *started, deadline)?)).into_response()
        }
        TurnStart::Joined(run) => (replayed(true), EventStream(relay.follow(caller, run, deadline))).into_response(),
        TurnStart::Finished(answer, had) => {
            (replayed(true), EventStream(ui_stream::stored(&answer, had).into())).into_response()
        }
    })
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, reply_chat)
}
