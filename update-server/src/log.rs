//! The log on stderr. Writing it never delays and never ends a request: lines go through a bounded queue to a thread
//! of their own, and a line that cannot be queued or written is dropped and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for stderr.
const QUEUE_LEN: usize = 4096;
/// Lines are gathered for so long and written together: to wake the thread for each costs more than to answer a request.
const GATHER: Duration = Duration::from_millis(2);
/// Longest run of lines that is written at once, bytes.
const BATCH_LEN: usize = 16 << 10;
/// Longest text from outside that one field of a line repeats, characters.
const MAX_FOREIGN_LEN: usize = 200;
/// How long the end of the process waits for lines that are still queued.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

static LOST: AtomicU64 = AtomicU64::new(0);

/// Log lines that were dropped since the start, because stderr took no more (a full disk, a stalled reader).
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// `text` cut for a log line: at most 200 characters of a client's input.
pub fn cut(text: &str) -> &str {
    text.char_indices().nth(MAX_FOREIGN_LEN).map_or(text, |(end, _)| &text[..end])
}

/// The thread that writes the log. Dropped, it waits a moment for what is queued.
#[derive(Debug)]
pub struct Log {
    done: Receiver<()>,
    _thread: JoinHandle<()>,
    queue: Option<Queue>,
}

impl Log {
    /// Starts the log; `ansi` colours it.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(filter: EnvFilter, ansi: bool) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE_LEN);
        let (finished, done) = sync_channel(1);
        let thread = thread::Builder::new().name("log".to_owned()).spawn(move || {
            write_lines(&lines, &mut io::stderr(), &LOST, GATHER, BATCH_LEN);
            let _ = finished.send(());
        })?;
        let queue = Queue { lines: queue };
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(queue.clone())
            .with_ansi(ansi)
            // It would complain on stderr of stderr, and panic when that fails.
            .log_internal_errors(false)
            .init();
        Ok(Self { done, _thread: thread, queue: Some(queue) })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // An empty line ends the thread; the subscriber's own end of the queue stays open for good.
        if let Some(queue) = self.queue.take()
            && queue.lines.try_send(Vec::new()).is_ok()
        {
            let _: Result<(), RecvTimeoutError> = self.done.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// The queue's near end, as a writer of whole lines.
#[derive(Debug, Clone)]
struct Queue {
    lines: SyncSender<Vec<u8>>,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(line.to_vec()).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Queue {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Writes lines until an empty one comes; those that arrive within `gather`, up to about `batch_len` bytes, at once.
/// After a gap the log says how many lines are missing.
fn write_lines(
    lines: &Receiver<Vec<u8>>,
    output: &mut impl Write,
    lost: &AtomicU64,
    gather: Duration,
    batch_len: usize,
) {
    let mut reported = 0;
    let mut is_ended = false;
    while !is_ended && let Ok(mut batch) = lines.recv() {
        is_ended = batch.is_empty();
        let mut count = 1;
        if !is_ended {
            thread::sleep(gather);
        }
        while !is_ended
            && batch.len() < batch_len
            && let Ok(line) = lines.try_recv()
        {
            is_ended = line.is_empty();
            count += u64::from(!is_ended);
            batch.extend(line);
        }
        if batch.is_empty() {
            return;
        }
        let missing = lost.load(Ordering::Relaxed) - reported;
        if missing > 0 && writeln!(output, "{missing} log lines were lost before this one").is_ok() {
            reported += missing;
        }
        if output.write_all(&batch).is_err() {
            lost.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing until it is mended.
    struct Full<'a> {
        refusals: u32,
        taken: &'a mut Vec<u8>,
    }

    impl Write for Full<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.refusals.checked_sub(1) {
                Some(left) => {
                    self.refusals = left;
                    Err(io::ErrorKind::StorageFull.into())
                }
                None => {
                    self.taken.extend_from_slice(bytes);
                    Ok(bytes.len())
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_told_of_later() {
        let (queue, lines) = sync_channel(8);
        for line in ["one\n", "two\n", "three\n", ""] {
            queue.send(line.as_bytes().to_vec()).unwrap();
        }
        let (lost, mut taken) = (AtomicU64::new(0), Vec::new());
        // The second refusal meets the notice of the first.
        write_lines(&lines, &mut Full { refusals: 3, taken: &mut taken }, &lost, Duration::ZERO, 1);
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        assert_eq!(String::from_utf8(taken).unwrap(), "2 log lines were lost before this one\nthree\n");
    }

    #[test]
    fn lines_that_wait_are_written_together_and_counted_one_by_one() {
        let (queue, lines) = sync_channel(8);
        let (lost, mut taken) = (AtomicU64::new(0), Vec::new());
        let mut output = Full { refusals: 1, taken: &mut taken };
        for round in [&["one\n", "two\n", ""][..], &["three\n", "four\n", ""]] {
            round.iter().for_each(|line| queue.send(line.as_bytes().to_vec()).unwrap());
            write_lines(&lines, &mut output, &lost, Duration::ZERO, BATCH_LEN);
        }
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        assert_eq!(String::from_utf8(taken).unwrap(), "2 log lines were lost before this one\nthree\nfour\n");
    }

    #[test]
    fn a_full_queue_drops_and_does_not_wait() {
        let (lines, _held) = sync_channel(1);
        let mut queue = Queue { lines };
        let before = lost();
        for _ in 0..3 {
            queue.write_all(b"line\n").unwrap();
        }
        assert_eq!(lost() - before, 2);
    }

    #[test]
    fn foreign_text_is_cut_at_200_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"a".repeat(200)).len(), 200);
        assert_eq!(cut(&"ü".repeat(30_000)), "ü".repeat(200));
    }
}
