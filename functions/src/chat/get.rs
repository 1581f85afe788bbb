//! `GET /v1/chat/{id}`

use axum::Json;
use axum::extract::State;
use axum::routing::MethodRouter;
use serde::Serialize;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, FromQuery, Input, Method, PageQuery, Path, Query};
use shared::id::ConversationRef;
use shared::model::{Branch, MessageCursor, Page};
use shared::ui_stream::{UiBranches, UiMessage};
use utoipa::ToSchema;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("get-chat", Method::Get, "/v1/chat/{id}");

/// The query string.
pub(crate) struct GetChat {
    branch: Branch,
    page: PageQuery<MessageCursor>,
}

impl FromQuery for GetChat {
    fn from_query(query: &mut Query) -> Self {
        let branch = query.word("branch", "active, all", Branch::from_word).unwrap_or(Branch::Active);
        Self { branch, page: PageQuery::from_query(query) }
    }
}

/// A chat as a front end takes it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Chat {
    /// The branch that is shown: the last messages of it, for `useChat({ messages })`.
    Active(Page<UiMessage>),
    /// All branches, for assistant-ui's repository.
    All(UiBranches),
}

/// Answers with a chat's last messages, oldest first, as `useChat({ messages })` takes them; `nextCursor` leads to those
/// before. Or with `branch=all`, as assistant-ui's `ExportedMessageRepository`, all of its messages from the first on;
/// `nextCursor` leads to those behind.
///
/// An answer that is being written isn't among them: the page ends at its question, and resuming the stream shows the answer
/// from its start.
#[utoipa::path(
    get, path = "/v1/chat/{id}", operation_id = "get-chat", tag = "chat",
    params(
        ("id" = String, Path, description = "The conversation's id, or its `clientId`"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "Items of a page; 50 if absent"),
        ("cursor" = Option<String>, Query, min_length = 1, description = "A page's `nextCursor`"),
        ("branch" = Option<Branch>, Query, description = "`all` answers with what edits and new answers replaced, too"),
    ),
    responses((status = 200, body = Chat))
)]
pub(crate) async fn get_chat(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<ConversationRef>,
    Input { query: GetChat { branch, page }, .. }: Input<GetChat>,
) -> Result<Json<Chat>, Error> {
    let user = db.as_user(&caller);
    let unknown = || Error::not_found("conversation");
    Ok(Json(match branch {
        Branch::Active => {
            let Page { data, next_cursor } = user.chat_page(&id, page.limit, page.cursor).await?.ok_or_else(unknown)?;
            Chat::Active(Page { data: data.iter().map(UiMessage::from).collect(), next_cursor })
        }
        Branch::All => Chat::All(user.chat_branches(&id, page.limit, page.cursor).await?.ok_or_else(unknown)?.into()),
    }))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, get_chat)
}
