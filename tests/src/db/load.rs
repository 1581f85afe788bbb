//! Under load, with requests dropped at random points, sessions killed and statements refused: no foreign row, no open
//! transaction, no half write, and everything that was acknowledged is stored.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::auth::Caller;
use shared::db::Db;
use shared::error::{Code, Error};
use shared::id::ConversationRef;
use shared::model::{Conversation, ConversationFilter, IfMatch, Message, MessageFilter, Order, PageSize};
use tokio_postgres::Client;

use crate::support::content::{conversation, messages, patch, random, someone};
use crate::support::database::{Database, on_every_database};
use crate::support::eventually;

const CLIENTS: u64 = 50;
const ROUNDS: u64 = 24;
/// Rows of one append: all or none of them are there in the end.
const BATCH: usize = 3;

/// A user, and the word that everything of theirs begins with.
struct Person {
    caller: Caller,
    word: String,
}

impl Person {
    fn owns(&self, conversation: &Conversation) {
        assert_eq!(conversation.title.as_deref(), Some(self.word.as_str()), "a foreign row");
    }

    fn wrote(&self, message: &Message) {
        assert_eq!(message.content.split(' ').next(), Some(self.word.as_str()), "a foreign row");
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        let row =
            |n| json!({"clientId": format!("{name}:{n}"), "role": "user", "content": format!("{} {n}", self.word)});
        (0..BATCH).map(row).collect()
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// One request; answers whether it was acknowledged. `name` is its own in the whole run.
async fn request(db: &Db, person: &Person, name: &str, dice: &mut Dice) -> Result<bool, Error> {
    let user = db.as_user(&person.caller);
    let id = ConversationRef::parse(&format!("{}-{}", person.word, dice.roll(2)));
    match dice.roll(10) {
        0..=3 => {
            let appended = user.append_messages(&id, messages(person.rows(name))).await?.expect("a conversation");
            appended.data.iter().for_each(|message| person.wrote(message));
            assert_eq!(appended.data.len(), BATCH);
            return Ok(true);
        }
        4 => {
            let new = json!({"clientId": name, "title": person.word, "messages": person.rows(name)});
            let made = user.create_conversation(conversation(new)).await?;
            person.owns(&made.conversation);
            made.messages.iter().for_each(|message| person.wrote(message));
            return Ok(true);
        }
        5 => {
            // Refused after two rows of the batch were found to be good.
            let mut rows = person.rows(&format!("refused-{name}"));
            rows[2]["parentId"] = json!(random());
            is_refused(user.append_messages(&id, messages(rows)).await)?;
        }
        6 => {
            // Refused by the server in the middle of the pipeline.
            let mut rows = person.rows(&format!("refused-{name}"));
            rows[2]["metadata"] = json!({});
            let mut rows = messages(rows);
            // As it would be if the edge let it through.
            rows.messages[2].metadata.0.insert("nul".to_owned(), "\0".into());
            is_refused(user.append_messages(&id, rows).await)?;
        }
        7 => {
            let change = json!({"metadata": {(name): true}, "pinned": dice.roll(2) == 0});
            let change = user.update_conversation(&id, patch(change), &IfMatch::Any).await;
            // It is full by and by.
            match change {
                Err(error) if error.code == Code::ContentTooLarge => {}
                change => person.owns(&change?.expect("a conversation")),
            }
        }
        8 => {
            let filter = MessageFilter { order: Order::Desc, ..Default::default() };
            let page = user.list_messages(&id, &filter, PageSize::default(), None).await?.expect("a conversation");
            page.data.iter().for_each(|message| person.wrote(message));
        }
        _ => {
            let page = user.list_conversations(&ConversationFilter::default(), PageSize::default(), None).await?;
            page.data.iter().for_each(|conversation| person.owns(conversation));
        }
    }
    Ok(false)
}

/// A bad request, where the database was there to say so.
fn is_refused<T>(answer: Result<T, Error>) -> Result<(), Error> {
    match answer.err().expect("a bad request was stored") {
        error if error.code == Code::InvalidRequest => Ok(()),
        error => Err(error),
    }
}

/// What one client does; answers the names of the writes that were acknowledged.
async fn client(db: Db, people: Arc<Vec<Person>>, number: u64) -> Vec<String> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ ((number + 1) << 32));
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let person = &people[usize::try_from(dice.roll(people.len() as u64)).unwrap()];
        let name = format!("{number}-{round}");
        let drop_after = (dice.roll(3) == 0).then(|| Duration::from_micros(dice.roll(6_000)));
        let request = request(&db, person, &name, &mut dice);
        let outcome = match drop_after {
            Some(drop_after) => tokio::time::timeout(drop_after, request).await.ok(),
            None => Some(request.await),
        };
        match outcome {
            Some(Ok(true)) => acknowledged.push(name),
            Some(Ok(false)) | None => {}
            Some(Err(error)) => assert_eq!(error.code, Code::Unavailable, "{error:?}"),
        }
    }
    acknowledged
}

/// Kills a session now and then.
async fn killer(superuser: &Client) {
    loop {
        let kill = "
            select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and usename = 'colloquy_app' order by random() limit 1";
        superuser.execute(kill, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

async fn count(superuser: &Client, what: &str) -> i64 {
    superuser.query_one(&format!("select count(*) from {what}"), &[]).await.unwrap().get(0)
}

async fn check_the_books(database: &Database, people: &[Person], acknowledged: &[String]) {
    let superuser = database.superuser().await;
    eventually("the end of all transactions", async || {
        let open =
            "pg_stat_activity where datname = current_database() and usename = 'colloquy_app' and state <> 'idle'";
        (count(&superuser, open).await == 0).then_some(())
    })
    .await;

    assert!(count(&superuser, "messages").await > 500, "the load was none");
    assert!(acknowledged.len() > 100, "the load was none");
    let half = "(select from messages where client_id like '%:%'
        group by conversation_id, split_part(client_id, ':', 1) having count(*) <> 3) batches";
    assert_eq!(count(&superuser, half).await, 0, "half writes");
    assert_eq!(count(&superuser, "messages where client_id like 'refused-%'").await, 0, "refused and stored");
    let missing = "select count(*) from unnest($1::text[]) name
        where not exists (select from messages m where m.client_id = name || ':0')";
    let missing = superuser.query_one(missing, &[&acknowledged]).await.unwrap();
    assert_eq!(missing.get::<_, i64>(0), 0, "acknowledged and not stored");

    for person in people {
        let (user, word) = (person.caller.user_id().uuid(), &person.word);
        let foreign = "
            select (select count(*) from conversations where (user_id = $1) <> (title = $2))
                + (select count(*) from messages where (user_id = $1) <> (split_part(content, ' ', 1) = $2))";
        let foreign = superuser.query_one(foreign, &[&user, word]).await.unwrap();
        assert_eq!(foreign.get::<_, i64>(0), 0, "a row under another user's claim");
    }
    let miscounted = "conversations c, lateral (
            select count(*) as stored, coalesce(max(m.seq), 0) as last from messages m where m.conversation_id = c.id) m
        where (c.message_count, c.last_seq) is distinct from (m.stored, m.last)";
    assert_eq!(count(&superuser, miscounted).await, 0, "miscounted");
    let stale = "messages m where m.parent_id is distinct from (
        select p.id from messages p where p.conversation_id = m.conversation_id and p.seq = m.seq - 1)";
    assert_eq!(count(&superuser, stale).await, 0, "a stale parent");
}

on_every_database!(on threads: the_books_are_right);

async fn the_books_are_right(database: Database) {
    let db = database.db_of(20);
    let people: Vec<Person> = (0..8).map(|n| Person { caller: someone(), word: format!("u{n}") }).collect();
    for person in &people {
        for n in 0..2 {
            let new = conversation(json!({"clientId": format!("{}-{n}", person.word), "title": person.word}));
            db.as_user(&person.caller).create_conversation(new).await.unwrap();
        }
    }
    let people = Arc::new(people);
    let superuser = database.superuser().await;
    let clients = (0..CLIENTS).map(|number| tokio::spawn(client(db.clone(), people.clone(), number)));
    let clients = join_all(clients.collect::<Vec<_>>());
    let acknowledged = tokio::select! {
        acknowledged = clients => acknowledged,
        () = killer(&superuser) => unreachable!("it never ends"),
    };
    let acknowledged: Vec<String> = acknowledged.into_iter().flat_map(Result::unwrap).collect();
    check_the_books(&database, &people, &acknowledged).await;
}
