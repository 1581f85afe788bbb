//! `GET /v1/chat/{id}`

use axum::Json;
use axum::extract::State;
use axum::routing::MethodRouter;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, FromQuery, Input, Method, PageQuery, Path, Query};
use shared::id::ConversationRef;
use shared::model::{MessageCursor, Page};
use shared::ui_stream::UiMessage;

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("get-chat", Method::Get, "/v1/chat/{id}");

/// The query string.
pub(crate) struct GetChat(PageQuery<MessageCursor>);

impl FromQuery for GetChat {
    fn from_query(query: &mut Query) -> Self {
        Self(PageQuery::from_query(query))
    }
}

/// Answers with a chat's last messages, oldest first, as `useChat({ messages })` takes them.
///
/// While an answer is being written the page ends at its question: resuming the stream shows the answer from its start.
/// `nextCursor` leads to the messages before.
#[utoipa::path(
    get, path = "/v1/chat/{id}", operation_id = "get-chat", tag = "chat",
    params(
        ("id" = String, Path, description = "The conversation's id, or its `clientId`"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "Items of a page; 50 if absent"),
        ("cursor" = Option<String>, Query, min_length = 1, description = "A page's `nextCursor`"),
    ),
    responses((status = 200, body = Page<UiMessage>))
)]
pub(crate) async fn get_chat(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<ConversationRef>,
    Input { query: GetChat(page), .. }: Input<GetChat>,
) -> Result<Json<Page<UiMessage>>, Error> {
    let listed = db.as_user(&caller).chat_page(&id, page.limit, page.cursor).await?;
    let Page { data, next_cursor } = listed.ok_or(Error::not_found("conversation"))?;
    Ok(Json(Page { data: data.iter().map(UiMessage::from).collect(), next_cursor }))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, get_chat)
}
