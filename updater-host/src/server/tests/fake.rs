//! A server of one closure on a port of its own, which breaks off where it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut_after: Option<usize>,
    drips: bool,
    pause: Option<Duration>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body, cut_after: None, drips: false, pause: None }
    }

    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self::new(200, body)
    }

    /// The connection ends without an answer.
    pub(crate) fn hang_up() -> Self {
        Self::new(0, Vec::new())
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// After the body more of it comes, byte by byte, for as long as the server is there.
    pub(crate) fn that_drips(mut self) -> Self {
        self.drips = true;
        self
    }

    /// Each half of the body comes after a pause.
    pub(crate) fn in_halves(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    /// The connection ends after so many bytes of the body.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        self
    }
}

pub(crate) struct FakeServer {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (requests, stopping) = (Arc::clone(&requests), Arc::clone(&stopping));
            move || {
                for stream in listener.incoming() {
                    if stopping.load(Ordering::Relaxed) {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    if let Some(request) = read_request(&stream) {
                        // Before the answer, so that who has the answer finds the request.
                        requests.lock().unwrap().push(request.clone());
                        serve(stream, &answer(&request), &stopping);
                    }
                }
            }
        });
        Self { port, requests, stopping, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, stopping: &AtomicBool) {
    if answer.status != 0 {
        let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", answer.status);
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let len = answer.body.len() + if answer.drips { 1_000_000 } else { 0 };
        head.push_str(&format!("Content-Length: {len}\r\n\r\n"));
        let sent = answer.cut_after.unwrap_or(answer.body.len());
        let (first, second) = answer.body[..sent].split_at(sent / 2);
        // A client that hangs up first is fine.
        let _ = stream.write_all(head.as_bytes());
        for half in [first, second] {
            std::thread::sleep(answer.pause.unwrap_or_default());
            let _ = stream.write_all(half);
        }
    }
    while answer.drips && !stopping.load(Ordering::Relaxed) && stream.write_all(b" ").is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = stream.shutdown(Shutdown::Write);
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, body: Vec::new(), headers };
    let len: usize = request.header("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    request.body.resize(len, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
