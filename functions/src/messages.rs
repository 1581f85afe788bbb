//! `/v1/conversations/{id}/messages`

pub mod activate;
pub mod append;
pub mod get;
pub mod list;

use shared::http::Query;

/// The parameter `include`, which knows one word.
fn include_embeddings(query: &mut Query) -> bool {
    query.word("include", "embeddings", |word| (word == "embeddings").then_some(())).is_some()
}
