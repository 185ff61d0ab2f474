//! Passwords: hashed and checked by few threads of low priority, so that many who sign in at once, or try to, take neither
//! the memory nor the time of calls.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::reply::Error;

/// The memory of a hash in KiB, the passes over it, and the lanes: OWASP's Password Storage Cheat Sheet for Argon2id.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// So many may wait. Whoever comes then is told to try again.
const MOST_WAITING: usize = 64;

/// The shortest password, in characters, and the longest, in bytes (NIST SP 800-63B §3.1.1.2).
const SHORTEST: usize = 12;
pub(crate) const LONGEST: usize = 256;

type Work = Box<dyn FnOnce() + Send>;

/// What hashes passwords.
pub(crate) struct Passwords {
    work: SyncSender<Work>,
    /// The hash that is checked where there is none: whether there is one takes no less time.
    nobody: Arc<OnceLock<String>>,
}

impl Passwords {
    /// Starts the threads. They end with the value.
    pub(crate) fn start() -> Self {
        let (work, jobs) = sync_channel::<Work>(MOST_WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for _ in 0..(cores / 4).max(1) {
            let jobs = Arc::clone(&jobs);
            let run = move || {
                lower_priority();
                loop {
                    // Whoever waits for work holds the lock, and gives it up with the work.
                    let Ok(job) = jobs.lock().recv() else { return };
                    job();
                }
            };
            // Without a thread, work is refused as if there were too much of it.
            let _ = std::thread::Builder::new().name("passwords".to_owned()).spawn(run);
        }
        Self { work, nobody: Arc::default() }
    }

    async fn done<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, Error> {
        let (tell, told) = oneshot::channel();
        let job = Box::new(move || drop(tell.send(work())));
        match self.work.try_send(job) {
            Ok(()) => told.await.map_err(|_| Error::away("the threads for passwords are gone")),
            Err(TrySendError::Full(_)) => {
                Err(Error::new("temporarily_unavailable", "too many sign in at once; try again in a moment"))
            }
            Err(TrySendError::Disconnected(_)) => Err(Error::away("the threads for passwords are gone")),
        }
    }

    /// Whether `password` is the one that `hash` is of. Without a hash it is not, and takes as long.
    pub(crate) async fn is(&self, password: &str, hash: Option<&str>) -> Result<bool, Error> {
        let (password, hash) = (password.to_owned(), hash.map(str::to_owned));
        let nobody = Arc::clone(&self.nobody);
        self.done(move || {
            let nobody = || nobody.get_or_init(|| hashed("nobody has this password").unwrap_or_default());
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| nobody().clone());
            let checked = PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
            checked && known && password.len() <= LONGEST
        })
        .await
    }

    /// The hash of `password`, where it is good enough for whoever is called `names`; otherwise why not, for them to read.
    pub(crate) async fn chosen(
        &self,
        password: &str,
        names: Vec<String>,
    ) -> Result<Result<String, &'static str>, Error> {
        let password = password.to_owned();
        let made = self.done(move || {
            refused(&password, &names).map_or_else(|| hashed(&password).map(Ok), |why| Some(Err(why)))
        });
        made.await?.ok_or_else(|| Error::away("a password could not be hashed"))
    }
}

fn hashed(password: &str) -> Option<String> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(password.as_bytes()).ok().map(|hash| hash.to_string())
}

/// Why `password` is not good enough for whoever is called `names`, if it is not.
fn refused(password: &str, names: &[String]) -> Option<&'static str> {
    if password.chars().count() < SHORTEST {
        return Some("It is shorter than 12 characters.");
    }
    if password.len() > LONGEST {
        return Some("It is longer than 256 bytes.");
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Three of four: what a machine that has the hash does not try within years.
    (zxcvbn::zxcvbn(password, &names).score() < zxcvbn::Score::Three)
        .then_some("It is easily guessed: take several words that do not belong together.")
}

/// Calls go before.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        // In Linux this is the calling thread's only. Where it is not allowed, the priority stays as it is.
        let _ = rustix::process::setpriority_process(None, 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_nobody_has_any() {
        let passwords = Passwords::start();
        let hash = passwords.chosen("correct horse battery staple", Vec::new()).await.unwrap().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.is("correct horse battery staple", Some(&hash)).await.unwrap());
        assert!(!passwords.is("correct horse battery stapl", Some(&hash)).await.unwrap());
        assert!(!passwords.is("nobody has this password", None).await.unwrap());
        assert!(!passwords.is("x", Some("no hash")).await.unwrap());
    }

    #[test]
    fn what_is_easily_guessed_is_refused() {
        let ann = ["ann.example".to_owned()];
        for bad in [
            "short",
            "password12345",
            "aaaaaaaaaaaaaaa",
            "123456789012",
            "ann.example2026",
            &"x y".repeat(100),
        ] {
            assert!(refused(bad, &ann).is_some(), "{bad}");
        }
        assert_eq!(refused("purple-otter-sings-42", &ann), None);
    }

    #[tokio::test]
    async fn too_many_at_once_are_told_to_come_again() {
        let passwords = Arc::new(Passwords::start());
        let many = (0..200).map(|_| {
            let passwords = Arc::clone(&passwords);
            tokio::spawn(async move { passwords.is("x", None).await })
        });
        let mut refused = 0;
        for one in many.collect::<Vec<_>>() {
            refused +=
                usize::from(one.await.unwrap().is_err_and(|error| error.code == "temporarily_unavailable"));
        }
        assert!((1..200).contains(&refused), "{refused}");
    }
}
