//! `/v1/images/{sha256}`.

use std::io::{Read as _, Write as _};

use axum::http::Method;

use crate::harness::*;

fn path(image: &[u8]) -> String {
    format!("/v1/images/{}", sha256(image))
}

#[tokio::test]
async fn an_image_goes_in_once_and_comes_back() {
    let world = World::new();
    let server = world.start();
    let image = image(1, 300_000);
    let path = path(&image);
    server.get(&path).await.is_problem(404, "image-unknown");

    let created = server.put(&path, image.clone()).await;
    assert_eq!(created.is(201).json(), serde_json::json!({"sha256": sha256(&image), "size": 300_000}));
    let again = server.put(&path, image.clone()).await;
    assert_eq!(again.is(200).json(), created.json());
    assert_eq!(world.image_files(), [sha256(&image)]);

    let whole = server.get(&path).await;
    whole.is(200);
    assert!(whole.body == image);
    let etag = format!("\"{}\"", sha256(&image));
    assert_eq!(whole.header("etag"), Some(etag.as_str()));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("content-length"), Some("300000"));
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));

    let head = server.send(Method::HEAD, &path, &[], Vec::new()).await;
    head.is(200);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("300000"), 0));
    let ranged_head = server.send(Method::HEAD, &path, &[("range", "bytes=0-0")], Vec::new()).await;
    ranged_head.is(200);
}

#[tokio::test]
async fn parts_and_preconditions() {
    let world = World::new();
    let server = world.start();
    let image = image(2, 100_000);
    let path = path(&image);
    server.put_image(&image).await;
    let etag = format!("\"{}\"", sha256(&image));

    for (range, expected, content_range) in [
        ("bytes=0-0", &image[..1], "bytes 0-0/100000"),
        ("bytes=99999-", &image[99_999..], "bytes 99999-99999/100000"),
        ("bytes=-7", &image[99_993..], "bytes 99993-99999/100000"),
        ("bytes=65530-65545", &image[65_530..65_546], "bytes 65530-65545/100000"),
        ("bytes=50000-99999999999999999999999", &image[50_000..], "bytes 50000-99999/100000"),
    ] {
        let part = server.get_with(&path, &[("range", range)]).await;
        part.is(206);
        assert!(part.body == expected, "{range}");
        assert_eq!(part.header("content-range"), Some(content_range));
        assert_eq!(part.header("content-length"), Some(expected.len().to_string().as_str()));
    }
    for range in ["bytes=100000-", "bytes=-0", "bytes=18446744073709551615-"] {
        let refused = server.get_with(&path, &[("range", range)]).await;
        refused.is_problem(416, "range-not-satisfiable");
        assert_eq!(refused.header("content-range"), Some("bytes */100000"));
    }
    for range in ["bytes=1-2,4-5", "bytes=2-1", "bytes=x-", "rows=0-1"] {
        assert_eq!(server.get_with(&path, &[("range", range)]).await.is(200).body.len(), image.len());
    }

    let held = server.get_with(&path, &[("if-none-match", &etag), ("range", "bytes=0-1")]).await;
    held.is(304);
    assert_eq!((held.header("etag"), held.body.len()), (Some(etag.as_str()), 0));
    server.get_with(&path, &[("if-none-match", "\"other\"")]).await.is(200);
    server.get_with(&path, &[("if-range", &etag), ("range", "bytes=0-1")]).await.is(206);
    server.get_with(&path, &[("if-range", "\"other\""), ("range", "bytes=0-1")]).await.is(200);
}

#[tokio::test]
async fn an_empty_image_is_an_image() {
    let world = World::new();
    let server = world.start();
    server.put_image(b"").await;
    assert_eq!(server.get(&path(b"")).await.is(200).header("content-length"), Some("0"));
    server.get_with(&path(b""), &[("range", "bytes=0-")]).await.is_problem(416, "range-not-satisfiable");
}

#[tokio::test]
async fn the_digest_decides() {
    let world = World::new();
    let server = world.start();
    let image = image(3, 50_000);
    let mut changed = image.clone();
    changed[25_000] ^= 1;
    server.put(&path(&image), changed.clone()).await.is_problem(422, "digest-mismatch");
    server.get(&path(&image)).await.is_problem(404, "image-unknown");
    assert_eq!(world.image_files(), [""; 0]);

    // Neither does it pass for what is there already.
    server.put_image(&image).await;
    server.put(&path(&image), changed).await.is_problem(422, "digest-mismatch");
    assert!(server.get(&path(&image)).await.body == image);
}

#[tokio::test]
async fn a_damaged_image_is_made_good_by_sending_it_again() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let image = image(11, 50_000);
    server.put_image(&image).await;
    let digest = sha256(&image);
    let file = world.data().join("images").join(&digest[..2]).join(&digest);
    std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(20_000).unwrap();
    let envelope = envelope(&image, 1, &key);
    server.post("/v1/releases", envelope.clone()).await.is_problem(409, "image-damaged");
    server.get(&path(&image)).await.is_problem(503, "image-damaged");
    let head = server.send(Method::HEAD, &path(&image), &[], Vec::new()).await;
    head.is(503);
    assert!(server.log().lines().any(|line| line.contains("ERROR") && line.contains(&digest)));

    server.put(&path(&image), image.clone()).await.is(200);
    assert!(server.get(&path(&image)).await.body == image);
    server.post("/v1/releases", envelope).await.is(201);
    assert_eq!(world.image_files(), [digest]);
}

/// A chunked upload of `image` in chunks of one byte.
fn upload_bytewise(server: &Server, image: &[u8]) -> String {
    let mut request = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        path(image),
        bearer()
    )
    .into_bytes();
    for byte in image {
        request.extend([b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    request.extend(b"0\r\n\r\n");
    server.raw(&request)
}

/// The most memory that the server has used so far, bytes.
fn peak_memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn an_upload_in_single_bytes_costs_no_more_memory_than_its_length() {
    let world = World::new();
    let server = world.start();
    assert!(upload_bytewise(&server, &image(12, 1000)).starts_with("HTTP/1.1 201 "));
    let before = peak_memory(&server);
    let image = image(13, 1 << 20);
    assert!(upload_bytewise(&server, &image).starts_with("HTTP/1.1 201 "));
    assert!(server.get(&path(&image)).await.body == image);
    let used = peak_memory(&server) - before;
    assert!(used < 16 << 20, "{used} bytes");
}

#[tokio::test]
async fn too_long_is_refused_whether_announced_or_not() {
    let world = World::new();
    let server = world.start_with(&["--max-image-bytes", "100000"]);
    let fits = image(4, 100_000);
    server.put_image(&fits).await;
    let long = image(5, 100_001);
    server.put(&path(&long), long.clone()).await.is_problem(413, "body-too-large");
    // Much longer than any buffer on the way: the answer still arrives.
    let longer = image(6, 8 << 20);
    server.put(&path(&longer), longer.clone()).await.is_problem(413, "body-too-large");

    let mut request = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        path(&long),
        bearer()
    )
    .into_bytes();
    for chunk in long.chunks(40_000) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = server.raw(&request);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body-too-large"), "{answer}");
    assert_eq!(world.image_files(), [sha256(&fits)]);

    // Refused by what it announces, before a byte of it is sent.
    let announced = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nAuthorization: {}\r\nContent-Length: 100001\r\n\r\n",
        path(&long),
        bearer()
    );
    assert!(server.raw(announced.as_bytes()).starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_an_upload_leaves_nothing() {
    let world = World::new();
    let server = world.start();
    let image = image(7, 12 << 20);
    let mut stream = server.connect();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
        path(&image),
        bearer(),
        image.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&image[..9 << 20]).unwrap();
    eventually("the upload", || !world.image_files().is_empty());
    assert!(world.image_files()[0].starts_with(&format!("{}#", sha256(&image))));
    server.get(&path(&image)).await.is_problem(404, "image-unknown");

    drop(stream);
    eventually("the cleaning up", || world.image_files().is_empty());
    server.get(&path(&image)).await.is_problem(404, "image-unknown");
    server.put_image(&image).await;
    assert!(server.get(&path(&image)).await.body == image);
}

#[tokio::test]
async fn two_uploads_of_one_image_at_once_both_succeed() {
    let world = World::new();
    let server = world.start();
    let image = image(8, 3 << 20);
    let path = path(&image);
    let uploads = (0..4).map(|_| server.put(&path, image.clone()));
    for answer in futures::future::join_all(uploads).await {
        assert!(answer.status.is_success(), "{answer:?}");
    }
    assert_eq!(world.image_files(), [sha256(&image)]);
    assert!(server.get(&path).await.body == image);
}

#[tokio::test]
async fn writing_needs_the_token() {
    let world = World::new();
    let server = world.start();
    let image = image(9, 8 << 20);
    let path = path(&image);
    let wrong = format!("Bearer {TOKEN}x");
    let shorter = format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]);
    let basic = format!("Basic {TOKEN}");
    for headers in [
        &[][..],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", TOKEN)],
        &[("authorization", wrong.as_str())],
        &[("authorization", shorter.as_str())],
        &[("authorization", basic.as_str())],
        &[("authorization", &bearer()), ("authorization", &bearer())],
    ] {
        let answer = server.send(Method::PUT, &path, headers, image.clone()).await;
        answer.is_problem(401, "unauthorized");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    for (method, path) in [
        (Method::POST, "/v1/releases"),
        (Method::PUT, "/v1/revocations"),
        (Method::PUT, "/v1/devices/A"),
        (Method::POST, "/v1/devices/A/events"),
    ] {
        server
            .send(method, path, &[("authorization", &wrong)], b"{}".to_vec())
            .await
            .is_problem(401, "unauthorized");
    }
    assert_eq!(world.image_files(), [""; 0]);
    // The scheme's name is case-insensitive.
    let lower = format!("bearer {TOKEN}");
    server.send(Method::PUT, &path, &[("authorization", &lower)], image).await.is(201);
    assert!(!server.log().contains(TOKEN), "no token in the log");
}

#[tokio::test]
async fn a_download_can_be_resumed_where_it_broke_off() {
    let world = World::new();
    let server = world.start();
    let image = image(10, 1 << 20);
    server.put_image(&image).await;
    let mut stream = server.connect();
    write!(stream, "GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path(&image)).unwrap();
    let mut start = vec![0; 200_000];
    stream.read_exact(&mut start).unwrap();
    drop(stream);
    let head = start.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let mut got = start[head..].to_vec();
    let etag = format!("\"{}\"", sha256(&image));
    let range = format!("bytes={}-", got.len());
    let rest = server.get_with(&path(&image), &[("range", &range), ("if-range", &etag)]).await;
    got.extend(&rest.is(206).body);
    assert!(got == image);
}

#[tokio::test]
async fn an_image_that_is_lost_is_said_and_counted_and_comes_back() {
    let world = World::new();
    let server = world.start();
    let key = release_key(&world.root);
    let (named, other) = (image(1, 1000), image(2, 1000));
    server.publish(&named, &envelope(&named, 1, &key)).await.is(201);
    server.put_image(&other).await;
    drop(server);
    for image in [&named, &other] {
        let digest = sha256(image);
        std::fs::remove_file(world.data().join("images").join(&digest[..2]).join(&digest)).unwrap();
    }
    // Found although nobody asks for it.
    let server = world.start();
    let damaged = async |server: &Server| server.get("/v1/live").await.json()["damaged_images"].clone();
    for _ in 0..200 {
        if damaged(&server).await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(damaged(&server).await, 1);
    assert!(
        server.log().lines().any(|line| line.contains("ERROR") && line.contains("a stored image is lost"))
    );
    server.get(&path(&named)).await.is_problem(503, "image-lost");
    server.get(&path(&other)).await.is_problem(404, "image-unknown");
    server.put_image(&named).await;
    assert!(server.get(&path(&named)).await.is(200).body == named);
    assert_eq!(damaged(&server).await, 0);
    // And while the server runs.
    let digest = sha256(&named);
    std::fs::remove_file(world.data().join("images").join(&digest[..2]).join(&digest)).unwrap();
    server.send(axum::http::Method::HEAD, &path(&named), &[], Vec::new()).await.is(503);
    assert_eq!(damaged(&server).await, 1);
    assert_eq!(server.log().matches("a stored image is lost").count(), 2, "once each time");
}
