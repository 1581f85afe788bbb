//! The cap of every field, in one place. The API document and the refusals read them from here.
//!
//! They follow from two walls of Lambda's: a request and a buffered response hold 6 MB each, the response after its
//! JSON was escaped into a string once more.
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

/// The most bytes of a request body; more is a 413.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;
/// The deepest nesting of arrays and objects in a body.
pub const DEPTH: usize = 64;
/// The most values of a body: each object's member and each array's item counts, at any depth. That is room for the embeddings
/// of many sources.
pub const VALUES: usize = 100_000;
/// The most objects and arrays among these, each of which takes many times the bytes that it is written with: a function has a
/// quarter of a gigabyte. More than an answer has, which a front end sends back whole.
pub const CONTAINERS: usize = 30_000;
/// The most faults that one problem document lists.
pub const FAULTS: usize = 100;

/// The most characters of a conversation's title.
pub const TITLE_CHARS: usize = 200;
/// The most bytes of a `metadata` object as PostgreSQL prints it; the table's constraints say the same.
pub const METADATA_BYTES: usize = 16 * 1024;

/// The most files of a question.
pub const FILES: usize = 10;

/// The most messages of one request.
pub const BATCH: usize = 100;
/// The most parts of a message.
pub const PARTS: usize = 200;
/// The most bytes of a message's parts, as compact JSON, without the `data:` URLs of files.
pub const PARTS_BYTES: usize = 1024 * 1024;
/// The most sources of a message.
pub const SOURCES: usize = 200;
/// The most bytes of a message's sources, as compact JSON, without their embeddings.
pub const SOURCES_BYTES: usize = 512 * 1024;
/// The most numbers of one source's embedding.
pub const EMBEDDING_NUMBERS: usize = 4096;
/// The most bytes of a `usage` object, as compact JSON.
pub const USAGE_BYTES: usize = 4 * 1024;
/// The most characters of a model's name.
pub const MODEL_CHARS: usize = 200;

/// The most bytes of the answer to an append, escaped: a batch that would answer with more is a 413 before it is stored.
/// A page ends before it would pass this.
pub const PAGE_BYTES: usize = 5 * 1024 * 1024;

/// The items of a page where `limit` says nothing.
pub const PAGE_DEFAULT: u16 = 50;
/// The most items of a page.
pub const PAGE_MAX: u16 = 100;

/// The most bytes of a token. API Gateway takes 10,240 bytes of headers in all.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
pub const TOKEN_BYTES: usize = 8 * 1024;

/// The most bytes of an answer's frames, as compact JSON; an agent that sends more has failed.
pub const ANSWER_BYTES: usize = PARTS_BYTES;
/// The most objects and arrays in an answer's frames, themselves included; an agent that sends more has failed.
pub const ANSWER_CONTAINERS: usize = 25_000;
/// The most bytes of one event of an agent's stream. Some put all that they retrieved into one.
pub const AGENT_EVENT_BYTES: usize = 2 * 1024 * 1024;
/// The most values of one event of an agent's stream: each object's member and each array's item counts, at any depth. That is
/// room for the embeddings of what it retrieved.
pub const AGENT_EVENT_VALUES: usize = 100_000;
/// The most objects and arrays among these, each of which takes many times the memory that a number does.
pub const AGENT_EVENT_CONTAINERS: usize = 20_000;
/// The deepest nesting of arrays and objects in what an agent says: a front end sends it back five levels deeper.
pub const AGENT_DEPTH: usize = DEPTH - 5;
/// The first depth that is too deep.
pub(crate) const AGENT_TOO_DEEP: usize = AGENT_DEPTH + 1;
/// The most bytes of an agent's stream, all that isn't kept of it included.
pub const AGENT_STREAM_BYTES: usize = 64 * 1024 * 1024;
/// The most sources of an answer; further ones are left out.
pub const ANSWER_SOURCES: usize = 100;
/// The most bytes of an answer's sources, as compact JSON; further ones are left out.
pub const ANSWER_SOURCES_BYTES: usize = 256 * 1024;
/// The bytes of these that only titles and links may take, so that passages don't cost later sources their places.
pub const ANSWER_PLACES_BYTES: usize = 64 * 1024;
/// The most characters that are kept of the passage that an agent used.
pub const SNIPPET_CHARS: usize = 2_000;
/// The most characters that are kept of the title that an agent gives a source.
pub const SOURCE_TITLE_CHARS: usize = 300;
/// The most bytes that are kept of what else an agent says of a source, as compact JSON.
pub const SOURCE_EXTRA_BYTES: usize = 4 * 1024;
/// The most bytes of a link to a source.
pub const SOURCE_URL_BYTES: usize = 2 * 1024;
/// The most sources of one earlier answer that a prompt repeats.
pub const PROMPT_SOURCES: usize = 10;
/// The most characters of a passage that a prompt repeats.
pub const PROMPT_SNIPPET_CHARS: usize = 500;
/// The most characters of a source's passage that its part shows a reader.
pub const SHOWN_SNIPPET_CHARS: usize = 500;
/// The most characters of a link that a prompt repeats; a longer one is left out, since a cut link leads nowhere.
pub const PROMPT_LINK_CHARS: usize = 1_000;
/// The most bytes of all sources that a prompt repeats; those of later answers come first.
pub const PROMPT_SOURCES_BYTES: usize = 16 * 1024;
