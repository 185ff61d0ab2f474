//! Documents in Valkey or Redis: each a hash of its version and its text.

use std::time::Duration;

use jiff::Timestamp;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, InfoDict, Script};
use tollgate_core::ports::{Documents, Rewritten, Shelf};
use tollgate_core::query::Answering;

use crate::StoreError;

/// What the names of all keys begin with.
const PREFIX: &str = "tollgate:share:";

/// Writes a document that is of the version that was read, in one step.
const WRITE: &str = "
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'text', ARGV[3])
if ARGV[4] ~= '' then redis.call('PEXPIREAT', KEYS[1], ARGV[4]) end
return 1";

/// Documents in Valkey or Redis.
pub struct RedisShelf {
    connection: ConnectionManager,
    write: Script,
}

impl std::fmt::Debug for RedisShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisShelf")
    }
}

impl RedisShelf {
    /// Opens the server at `url`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(|error| StoreError::Address(error.to_string()))?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(Duration::from_secs(2)));
        let connection = client.get_connection_manager_with_config(config).await?;
        Ok(Self { connection, write: Script::new(WRITE) })
    }

    async fn read_all(&self, names: &[String]) -> Result<Documents, StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").cmd("INFO").arg("server");
        for name in names {
            pipe.cmd("HMGET").arg(key(name)).arg("version").arg("text");
        }
        let mut connection = self.connection.clone();
        let mut answers: Vec<redis::Value> = pipe.query_async(&mut connection).await?;
        let documents = answers.split_off(2.min(answers.len()));
        let mut answers = answers.into_iter();
        let mut next = || answers.next().unwrap_or(redis::Value::Nil);
        let (seconds, micros): (i64, i64) =
            redis::from_redis_value(next()).map_err(redis::RedisError::from)?;
        let info: InfoDict = redis::from_redis_value(next()).map_err(redis::RedisError::from)?;
        let each = documents.into_iter().map(|document| {
            let (version, text): (Option<u64>, Option<String>) = redis::from_redis_value(document)?;
            Ok((version.unwrap_or(0), text))
        });
        Ok(Documents {
            now: Timestamp::from_microsecond(seconds.saturating_mul(1_000_000).saturating_add(micros))
                .unwrap_or(Timestamp::MAX),
            // A server that was started anew may have lost what it had not written to its disk.
            life: info.get("run_id").unwrap_or_default(),
            each: each.collect::<Result<_, redis::RedisError>>()?,
        })
    }

    async fn write_all(&self, documents: &[Rewritten]) -> Result<Vec<bool>, StoreError> {
        let mut connection = self.connection.clone();
        // Known to the server from here on, unless it is started anew in this moment: then the next try does it.
        self.write.prepare_invoke().load_async(&mut connection).await?;
        let mut pipe = redis::pipe();
        for document in documents {
            let ends = document.ends.map(|ends| kept_until(ends).to_string()).unwrap_or_default();
            pipe.cmd("EVALSHA")
                .arg(self.write.get_hash())
                .arg(1)
                .arg(key(&document.name))
                .arg(document.version)
                .arg(document.version.saturating_add(1))
                .arg(&document.text)
                .arg(ends);
        }
        Ok(pipe.query_async(&mut connection).await?)
    }

    async fn names_naming(&self, who: &str) -> Result<Vec<String>, StoreError> {
        let mut connection = self.connection.clone();
        let (mut cursor, mut found) = (0_u64, Vec::new());
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("{PREFIX}*"))
                .arg("COUNT")
                .arg(1_000)
                .query_async(&mut connection)
                .await?;
            let mut pipe = redis::pipe();
            for key in &keys {
                pipe.hget(key, "text");
            }
            let texts: Vec<Option<String>> =
                if keys.is_empty() { Vec::new() } else { pipe.query_async(&mut connection).await? };
            for (key, text) in keys.iter().zip(texts) {
                if let Some(name) = key.strip_prefix(PREFIX).filter(|_| super::names(text.as_deref(), who)) {
                    found.push(name.to_owned());
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(found);
            }
        }
    }
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// A little longer than it is of use: clocks differ.
fn kept_until(ends: Timestamp) -> i64 {
    ends.as_millisecond().saturating_add(super::KEPT_MS)
}

impl Shelf for RedisShelf {
    fn read<'a>(&'a self, names: &'a [String]) -> Answering<'a, Documents> {
        Box::pin(async move { Ok(self.read_all(names).await?) })
    }

    fn write<'a>(&'a self, documents: &'a [Rewritten]) -> Answering<'a, Vec<bool>> {
        Box::pin(async move { Ok(self.write_all(documents).await?) })
    }

    fn naming<'a>(&'a self, who: &'a str) -> Answering<'a, Vec<String>> {
        Box::pin(async move { Ok(self.names_naming(who).await?) })
    }
}
