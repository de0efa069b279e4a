//! Ctrl-C and SIGTERM: the first one is a request that the command ends where that is safe, the second one ends it.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

use crate::error::{Error, Moment};

/// Exit code after a second signal: as for an interrupted update (docs/updater-host.md).
const EXIT_AT_ONCE: i32 = 3;
/// How long a command may end without a word.
const BEFORE_A_WORD: Duration = Duration::from_secs(1);
/// A signal that follows the first one within this time is the same request: `timeout` signals the program, and then the
/// group that it is in.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Whether the person wants the command to end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    requested: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens to signals from here on, in a thread of its own: the program's own may hang in a file that is a pipe, or
    /// that lies on a network drive.
    #[must_use]
    pub(crate) fn listen() -> Self {
        let (sender, requested) = watch::channel(false);
        let listener = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                // Signals keep what the operating system does by itself: they end the program.
                return;
            };
            runtime.block_on(async {
                signal().await;
                let _ = sender.send(true);
                // Nobody listens meanwhile.
                tokio::time::sleep(SAME_REQUEST).await;
                tokio::select! {
                    () = signal() => {}
                    // What was begun with a device that answers ends sooner.
                    () = tokio::time::sleep(BEFORE_A_WORD) => {
                        eprintln!("Ending what was begun with the device. Press Ctrl-C again to stop at once.");
                        signal().await;
                    }
                }
                std::process::exit(EXIT_AT_ONCE);
            });
        };
        // Without the thread signals end the program by themselves.
        let _ = std::thread::Builder::new().spawn(listener);
        Self { requested }
    }

    /// Whether it was requested.
    #[must_use]
    pub(crate) fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until it is requested.
    pub(crate) async fn requested(&self) {
        let mut requested = self.requested.clone();
        if requested.wait_for(|requested| *requested).await.is_err() {
            // The listener is gone, so no request can come.
            std::future::pending::<()>().await;
        }
    }

    /// Runs something that may be dropped at any time, until it ends or the person does not want it any more.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and those of `work`.
    pub(crate) async fn or<T>(
        &self,
        moment: Moment,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.requested() => Err(Error::Interrupted(moment)),
            outcome = work => outcome,
        }
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn signal() {
    drop(tokio::signal::ctrl_c().await);
}
