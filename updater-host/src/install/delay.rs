//! A device that delays installs, since too many began without a confirmation (docs/boot-rules.md, Delays). Its time runs
//! while it is in its loader, so this program keeps it there.

use std::time::{Duration, Instant};

use super::{Install, Tries};
use crate::error::Error;

/// No device delays an install for longer than an hour.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);
/// A device counts whole seconds.
const ROUNDING: Duration = Duration::from_secs(1);
/// How often a device is asked something, so that its session does not expire (S3 of the client).
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Delays that are waited for in a row: after one of them a device takes the install.
const MAX_DELAYS: u32 = 3;

impl Install<'_> {
    /// Waits until the device takes the install; `false`: it never will, or its session is gone.
    ///
    /// # Errors
    /// [`Error::Interrupted`]
    pub(super) async fn wait_for_device(&mut self, tries: &mut Tries, delay_s: u32) -> Result<bool, Error> {
        let delay = Duration::from_secs(delay_s.into()) + ROUNDING;
        tries.delays += 1;
        if delay > LONGEST_DELAY + ROUNDING || tries.delays > MAX_DELAYS {
            return Ok(false);
        }
        let words = format!(
            "installs began too often without being confirmed: the device takes the next one in {delay_s} s. Keep it \
             powered. It is waited for; Ctrl-C ends this safely, but then the delay begins anew"
        );
        self.output.warn("install-delayed", &words);
        let until = Instant::now() + delay;
        let mut is_there = true;
        while is_there && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            self.output.waiting("delay", "The device delays the install", left);
            tokio::select! {
                () = tokio::time::sleep(left.min(KEEP_ALIVE)) => {}
                () = self.interrupt.requested() => {
                    self.output.wait_end();
                    return Err(self.interrupted(tries));
                }
            }
            is_there = self.session().is_in_programming().await.unwrap_or(false);
        }
        self.output.wait_end();
        // The person's patience is for a device that does not answer.
        tries.last_progress = Instant::now();
        Ok(true)
    }
}
