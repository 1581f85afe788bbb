//! `GET /v1/conversations`

use axum::Json;
use axum::extract::State;
use axum::routing::MethodRouter;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, FromQuery, Input, Method, PageQuery, Query};
use shared::model::{Conversation, ConversationCursor, ConversationFilter, Page};

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("list-conversations", Method::Get, "/v1/conversations");

/// The query string.
pub(crate) struct ListConversations {
    filter: ConversationFilter,
    page: PageQuery<ConversationCursor>,
}

impl FromQuery for ListConversations {
    fn from_query(query: &mut Query) -> Self {
        Self {
            filter: ConversationFilter {
                archived: query.flag("archived"),
                pinned: query.flag("pinned"),
                metadata: query.prefixed("metadata.", "metadata.KEY"),
                title: query.text("title"),
                updated_after: query.time("updatedAfter"),
                updated_before: query.time("updatedBefore"),
            },
            page: PageQuery::from_query(query),
        }
    }
}

/// Lists the caller's conversations, newest activity first.
///
/// Beside the parameters named here, `metadata.KEY=VALUE` shows only those whose metadata has this value at its top
/// level; it may be repeated with other keys.
#[utoipa::path(
    get, path = "/v1/conversations", operation_id = "list-conversations", tag = "conversations",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "Items of a page; 50 if absent"),
        ("cursor" = Option<String>, Query, min_length = 1, description = "A page's `nextCursor`"),
        ("archived" = Option<bool>, Query, description = "Only archived ones, or only the others"),
        ("pinned" = Option<bool>, Query, description = "Only pinned ones, or only the others"),
        ("title" = Option<String>, Query, min_length = 1, description = "A text that the title contains, whatever its case and its Unicode normalization form"),
        ("updatedAfter" = Option<String>, Query, format = DateTime, description = "With activity after this time"),
        ("updatedBefore" = Option<String>, Query, format = DateTime, description = "With activity before this time"),
    ),
    responses((status = 200, body = Page<Conversation>))
)]
pub(crate) async fn list_conversations(
    State(db): State<Db>,
    caller: Caller,
    Input { query: ListConversations { filter, page }, .. }: Input<ListConversations>,
) -> Result<Json<Page<Conversation>>, Error> {
    Ok(Json(db.as_user(&caller).list_conversations(&filter, page.limit, page.cursor).await?))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, list_conversations)
}
