//! Waits that the runtime's timers cannot do: they count in milliseconds, and one of length zero takes one.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// By how much the operating system may wake a thread too late.
const WAKE_UP: Duration = Duration::from_micros(80);

/// The output of a future that is ready now.
pub(crate) async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Holds this thread for so long, a few milliseconds at most, to some microseconds.
pub(crate) fn pause_exactly(pause: Duration) {
    let until = Instant::now() + pause;
    if let Some(sleep) = pause.checked_sub(WAKE_UP) {
        std::thread::sleep(sleep);
    }
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}
