//! `GET /v1/conversations/{id}/messages`

use axum::Json;
use axum::extract::State;
use axum::routing::MethodRouter;
use shared::auth::Caller;
use shared::db::Db;
use shared::error::Error;
use shared::http::{App, Endpoint, FromQuery, Input, Method, PageQuery, Path, Query};
use shared::id::ConversationRef;
use shared::model::{Branch, Message, MessageCursor, MessageFilter, Order, Page, Role};

/// The endpoint.
pub const ENDPOINT: Endpoint = Endpoint::new("list-messages", Method::Get, "/v1/conversations/{id}/messages");

/// The query string.
pub(crate) struct ListMessages {
    filter: MessageFilter,
    page: PageQuery<MessageCursor>,
}

impl FromQuery for ListMessages {
    fn from_query(query: &mut Query) -> Self {
        Self {
            filter: MessageFilter {
                order: query.word("order", "asc, desc", Order::from_word).unwrap_or_default(),
                role: query.word("role", "user, assistant, system, tool", Role::from_word),
                created_after: query.time("createdAfter"),
                created_before: query.time("createdBefore"),
                all_branches: query.word("branch", "active, all", Branch::from_word) == Some(Branch::All),
                embeddings: super::include_embeddings(query),
            },
            page: PageQuery::from_query(query),
        }
    }
}

/// Lists a conversation's messages.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/messages", operation_id = "list-messages", tag = "messages",
    params(
        ("id" = String, Path, description = "The conversation's id, or its `clientId`"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "Items of a page; 50 if absent"),
        ("cursor" = Option<String>, Query, min_length = 1, description = "A page's `nextCursor`"),
        ("order" = Option<Order>, Query, description = "Oldest first (`asc`, the default) or newest first (`desc`)"),
        ("role" = Option<Role>, Query, description = "Only messages of this role"),
        ("createdAfter" = Option<String>, Query, format = DateTime, description = "Stored after this time"),
        ("createdBefore" = Option<String>, Query, format = DateTime, description = "Stored before this time"),
        ("branch" = Option<Branch>, Query, description = "`all` shows what edits and new answers replaced, too"),
        ("include" = Option<String>, Query, pattern = "^embeddings$", description = "`embeddings` shows those of the sources"),
    ),
    responses((status = 200, body = Page<Message>))
)]
pub(crate) async fn list_messages(
    State(db): State<Db>,
    caller: Caller,
    Path(id): Path<ConversationRef>,
    Input { query: ListMessages { filter, page }, .. }: Input<ListMessages>,
) -> Result<Json<Page<Message>>, Error> {
    let listed = db.as_user(&caller).list_messages(&id, &filter, page.limit, page.cursor).await?;
    Ok(Json(listed.ok_or(Error::not_found("conversation"))?))
}

/// Its route.
pub fn route() -> MethodRouter<App> {
    crate::route(ENDPOINT, list_messages)
}
