//! Waiting for a server that takes its time: whoever waits hears of it.

use std::pin::pin;
use std::time::Duration;

/// How long nothing is said while a server is waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// Waits for what a server answers, to the end of it; calls `say` once if that takes longer than a moment.
pub async fn waited_for<T>(answer: impl Future<Output = T>, say: impl FnOnce()) -> T {
    waited_for_once_sent(std::future::ready(()), answer, say).await
}

/// The same of a request whose body takes its time: the moment begins when `sent` is ready.
pub async fn waited_for_once_sent<T>(
    sent: impl Future,
    answer: impl Future<Output = T>,
    say: impl FnOnce(),
) -> T {
    let mut answer = pin!(answer);
    let silence = async {
        sent.await;
        tokio::time::sleep(SILENCE).await;
    };
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        () = silence => {}
    }
    say();
    answer.await
}

/// What a person hears.
#[must_use]
pub fn waiting_for(server: &str) -> String {
    format!("waiting for {} ...", trust::host::printable(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_server_is_spoken_of_once_and_a_quick_one_not() {
        for (millis, wanted) in [(0, 0), (1_900, 0), (2_100, 1), (60_000, 1)] {
            let mut said = 0;
            let answer = async {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                7
            };
            assert_eq!(waited_for(answer, || said += 1).await, 7);
            assert_eq!(said, wanted, "{millis} ms");
        }
        // Five seconds of sending are no wait for the server.
        for (millis, wanted) in [(6_900, 0), (7_100, 1)] {
            let mut said = 0;
            let sent = tokio::time::sleep(Duration::from_secs(5));
            let answer = tokio::time::sleep(Duration::from_millis(millis));
            waited_for_once_sent(sent, answer, || said += 1).await;
            assert_eq!(said, wanted, "{millis} ms");
        }
        assert_eq!(waiting_for("http://h\u{1b}"), "waiting for http://h\\u{1b} ...");
    }
}
