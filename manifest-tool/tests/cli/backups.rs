//! Backups of keys: shares on paper, encrypted copies, and the proof that they still hold the key.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::terminal::Terminal;
use super::workshop::{Workshop, split};

const SHARES: &str = "key backup root.pem --shares 3 --threshold 2 --out-dir";

/// A root with three shares on paper; with a ledger, it knows who has them.
fn with_shares(ledger: bool) -> Workshop {
    let workshop = Workshop::new();
    workshop.key("root");
    std::fs::create_dir(workshop.path("pages")).unwrap();
    let mut line = format!("{SHARES} pages");
    if ledger {
        workshop.ok(&split("ledger init ledger --key root.pem --name maker --holder Ada --kept safe"));
        line.push_str(" --holder Ada --holder Bob --holder Eve --kept three-safes");
    }
    let made = workshop.ok(&split(&line));
    assert_eq!(made["files"].as_array().unwrap().len(), 6);
    workshop
}

fn seed(workshop: &Workshop, key: &str) -> Vec<u8> {
    let pem = String::from_utf8(workshop.read(key)).unwrap();
    let der = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let der = <base64ct::Base64 as base64ct::Encoding>::decode_vec(&der).unwrap();
    der[der.len() - 32..].to_vec()
}

/// The words on a page, without its numbers.
fn words(workshop: &Workshop, page: &str) -> Vec<String> {
    let page = String::from_utf8(workshop.read(page)).unwrap();
    let words = page.split_once("Words:\n").unwrap().1.split_once("\n\n").unwrap().0.to_owned();
    words.split_whitespace().filter(|word| !word.ends_with('.')).map(str::to_owned).collect()
}

fn recover<'a>(shares: &[&'a str], more: &'a str) -> Vec<&'a str> {
    let shares = shares.iter().flat_map(|share| ["--share", share]);
    ["key", "recover", "--out", "again.pem", "--no-passphrase"]
        .into_iter()
        .chain(shares)
        .chain(split(more))
        .collect()
}

#[test]
fn any_two_of_three_pages_make_the_key_again() {
    let workshop = with_shares(true);
    let kid = workshop.ok(&["key", "public", "root.cose"])["kid"].clone();
    for name in ["share-1-of-3.html", "share-3-of-3.txt"] {
        let page = workshop.path("pages").join(name);
        assert_eq!(page.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(page).unwrap();
        for word in
            ["maker", kid.as_str().unwrap(), "SECRET", if name.contains("1-of") { "Ada" } else { "Eve" }]
        {
            assert!(text.contains(word), "{name}: {word}");
        }
        assert!(!text.contains("http://") || text.contains("xmlns=\"http://www.w3.org/2000/svg\""), "{name}");
        assert!(!text.contains("<script") && !text.contains("<link"), "{name}");
    }
    // As text, as HTML, as words, as four letters of each.
    let second = words(&workshop, "pages/share-2-of-3.txt");
    assert_eq!(second.len(), 36);
    workshop.write("words", second.join("\n").as_bytes());
    let starts: Vec<String> = second.iter().map(|word| word.chars().take(4).collect()).collect();
    workshop.write("starts", starts.join(" ").to_uppercase().as_bytes());
    for pair in [
        ["pages/share-1-of-3.html", "pages/share-3-of-3.txt"],
        ["words", "pages/share-1-of-3.txt"],
        ["pages/share-3-of-3.html", "starts"],
    ] {
        let made = workshop.ok(&recover(&pair, "--public root.cose"));
        assert_eq!((&made["kid"], &made["compared"]), (&kid, &json!(true)), "{pair:?}");
        assert_eq!(workshop.read("again.pem"), workshop.read("root.pem"), "{pair:?}");
        assert_eq!(workshop.path("again.pem").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(workshop.refused(&recover(&pair, "")), ("file-exists".into(), 2), "never over a key");
        std::fs::remove_file(workshop.path("again.pem")).unwrap();
    }
}

#[test]
fn shares_that_do_not_fit_make_nothing() {
    let workshop = with_shares(false);
    std::fs::create_dir(workshop.path("second")).unwrap();
    workshop.ok(&split(&format!("{SHARES} second")));
    workshop.key("other");
    std::fs::create_dir(workshop.path("others")).unwrap();
    workshop.ok(&split(&format!("{} others", SHARES.replace("root", "other"))));
    let one = "pages/share-1-of-3.txt";
    let mut damaged = words(&workshop, "pages/share-2-of-3.txt");
    damaged[20] = if damaged[20] == "zoo" { "abandon".into() } else { "zoo".into() };
    workshop.write("damaged", damaged.join(" ").as_bytes());
    damaged[20] = "anchorage".into();
    workshop.write("misspelt", damaged.join(" ").as_bytes());
    workshop.write("short", damaged[..35].join(" ").as_bytes());
    workshop.write("empty", b"");
    let both = [workshop.read(one), workshop.read("pages/share-2-of-3.txt")].concat();
    workshop.write("both", &both);
    for (shares, code) in [
        (&[one][..], "shares-too-few"),
        (&[one, "pages/share-1-of-3.html"], "share-twice"),
        (&[one, "second/share-2-of-3.txt"], "share-mixed"),
        (&[one, "others/share-2-of-3.txt"], "share-mixed"),
        (&[one, "damaged"], "share-damaged"),
        (&[one, "misspelt"], "share-malformed"),
        (&[one, "short"], "share-malformed"),
        (&[one, "empty"], "share-malformed"),
        (&["both"], "share-malformed"),
        (&[one, "root.cose"], "share-malformed"),
    ] {
        assert_eq!(workshop.refused(&recover(shares, "")), (code.into(), 5), "{shares:?}");
        let check: Vec<&str> = shares.iter().flat_map(|share| ["--share", share]).collect();
        let check = [&split("key backup-check --public root.cose")[..], &check].concat();
        assert_eq!(workshop.refused(&check), (code.into(), 5), "{shares:?}");
    }
    let pair = [one, "pages/share-2-of-3.txt"];
    assert_eq!(workshop.refused(&recover(&pair, "--public other.cose")), ("backup-other-key".into(), 5));
    // No message repeats a word, but for those that it has for every share: the list has "share" and "letter", too.
    let mut foreign = vec!["zoo"; damaged.len()];
    foreign[20] = "anchorage";
    workshop.write("foreign", foreign.join(" ").as_bytes());
    let own = workshop.run(&recover(&[one, "foreign"], "")).stderr;
    let run = workshop.run(&recover(&[one, "misspelt"], ""));
    let repeated = |word: &String| run.stderr.contains(word.as_str()) && !own.contains(word.as_str());
    assert!(!damaged.iter().any(|word| word.len() > 4 && repeated(word)), "{run:?}");
}

#[test]
fn a_backup_is_asked_for_what_it_needs_and_replaces_nothing() {
    let workshop = with_shares(true);
    let named = "--holder A --holder B --holder C --kept k";
    assert_eq!(workshop.refused(&split(&format!("{SHARES} pages {named}"))), ("file-exists".into(), 2));
    std::fs::create_dir(workshop.path("new")).unwrap();
    for (line, code, exit) in [
        (format!("{SHARES} new"), "usage", 2),
        (format!("{SHARES} new --holder A --holder B --kept k"), "usage", 2),
        (format!("{SHARES} new --holder A --holder B --holder C"), "usage", 2),
        (format!("{} new {named}", SHARES.replace("threshold 2", "threshold 4")), "usage", 2),
        (format!("{} new {named}", SHARES.replace("threshold 2", "threshold 1")), "usage", 2),
        (format!("{} new {named}", SHARES.replace("shares 3", "shares 17")), "usage", 2),
        (format!("{SHARES} root.pem/under {named}"), "file-write", 3),
        ("key backup pkcs11:token=a;object=b --copy c --no-ledger".to_owned(), "usage", 2),
        ("key backup root.cose --copy c --no-ledger".to_owned(), "private-key-invalid", 4),
        ("key recover --copy root.pem --out root.pem".to_owned(), "file-exists", 2),
        ("key backup-check --copy root.pem".to_owned(), "usage", 2),
        (
            "key recover --share pages/share-1-of-3.txt --passphrase-file passphrase --out x".to_owned(),
            "usage",
            2,
        ),
    ] {
        assert_eq!(workshop.refused(&split(&line)), (code.into(), exit), "{line}");
    }
    workshop.key("other");
    let other = "key backup other.pem --shares 2 --threshold 2 --out-dir new --holder A --holder B --kept k --ledger ledger";
    assert_eq!(workshop.refused(&split(other)), ("ledger-other-key".into(), 4));
    let run = workshop.run(&split(&format!("{SHARES} new --holder A --holder A --holder B --kept k")));
    assert!(run.exit == 0 && run.stderr.contains("A gets enough shares"), "{run:?}");
    // The folder is made.
    workshop.ok(&split(&format!("{SHARES} made/here {named}")));
    assert!(workshop.path("made/here/share-1-of-3.txt").exists());
}

/// An encrypted copy, with a passphrase of its own.
#[test]
fn a_copy_is_made_proved_and_recovered() {
    let workshop = Workshop::new();
    workshop.key("root");
    workshop.ok(&split("ledger init ledger --key root.pem --name maker --holder Ada --kept safe"));
    let backup = "key backup root.pem --copy copy.pem --new-passphrase-file passphrase --weak-passphrase \
                  --holder Bob --kept bank";
    let made = workshop.ok(&split(backup));
    assert_eq!((&made["form"], &made["ledger_entry"]), (&json!("copy"), &json!(2)));
    assert!(String::from_utf8(workshop.read("copy.pem")).unwrap().contains("ENCRYPTED PRIVATE KEY"));
    let check = "key backup-check --copy copy.pem --passphrase-file passphrase";
    let checked = workshop.ok(&split(&format!("{check} --ledger ledger")));
    assert_eq!((&checked["backup"], &checked["ledger_entry"]), (&json!(2), &json!(3)));
    workshop.write("wrong", b"another\n");
    let wrong = check.replace("--passphrase-file passphrase", "--passphrase-file wrong --ledger ledger");
    assert_eq!(workshop.refused(&split(&wrong)), ("passphrase-wrong".into(), 4));
    workshop.key("other");
    let other = "key backup-check --copy other.pem --ledger ledger";
    assert_eq!(workshop.refused(&split(other)), ("backup-other-key".into(), 5));
    let recover = "key recover --copy copy.pem --passphrase-file passphrase --public root.cose --out again.pem --no-passphrase";
    workshop.ok(&split(recover));
    assert_eq!(workshop.read("again.pem"), workshop.read("root.pem"));
}

/// The check writes no key, and its date is in the ledger, for the backup that was checked.
#[test]
fn a_check_of_shares_is_dated_and_writes_no_key() {
    let workshop = with_shares(true);
    let before: Vec<_> = workshop.snapshot().into_iter().map(|(path, _)| path).collect();
    let pair = "--share pages/share-1-of-3.txt --share pages/share-2-of-3.html";
    let checked = workshop.ok(&split(&format!("key backup-check {pair} --ledger ledger --by Bob")));
    assert_eq!((&checked["backup"], &checked["ledger_entry"]), (&json!(2), &json!(3)));
    let new = workshop.snapshot().into_iter().map(|(path, _)| path).filter(|path| !before.contains(path));
    assert_eq!(new.collect::<Vec<_>>(), [workshop.path("ledger/000003-backup-check.json")]);
    let listed = workshop.ok(&["ledger", "list", "ledger"]);
    assert_eq!(
        (&listed["entries"][2]["kind"], &listed["entries"][2]["by"]),
        (&json!("backup-check"), &json!("Bob"))
    );
    let alone = workshop.ok(&split(&format!("key backup-check {pair} --public root.cose")));
    assert_eq!(alone["ledger_entry"], Value::Null);
    // The ledger has no copy, and entry 1 is no backup.
    for line in ["--copy root.pem".to_owned(), format!("{pair} --entry 1")] {
        let line = format!("key backup-check {line} --ledger ledger");
        assert_eq!(workshop.refused(&split(&line)), ("usage".into(), 2), "{line}");
    }
    workshop.ok(&split("ledger verify ledger --anchor root.cose"));
}

#[test]
fn shares_are_typed_at_a_terminal() {
    let workshop = with_shares(false);
    let line = split("key recover --type --public root.cose --out again.pem --no-passphrase");
    let mut terminal = Terminal::run(&workshop, "", &line);
    let (first, second) =
        (words(&workshop, "pages/share-1-of-3.txt"), words(&workshop, "pages/share-3-of-3.txt"));
    for (number, words) in [(1, &first), (2, &second)] {
        for (place, line) in words.chunks(6).enumerate() {
            let asked = format!(
                "Words {} to {} of share {number} of those that you type: ",
                place * 6 + 1,
                place * 6 + 6
            );
            terminal.wait_for(&asked);
            if (number, place) == (1, 2) {
                // A slip is found at once.
                terminal.enter("able about above absent absorb anchorage");
                terminal.wait_for("word 18 is not in the list of words");
                terminal.wait_for_times(&asked, 2);
            }
            terminal.enter(&line.join(" "));
        }
    }
    let (exit, shown) = terminal.end();
    assert_eq!(exit, Some(0), "{shown}");
    assert!(!shown.contains(&first[..6].join(" ")), "{shown}");
    assert_eq!(seed(&workshop, "again.pem"), seed(&workshop, "root.pem"));
}

/// Shares of a split that the ledger does not know prove nothing about those that it knows; and a page has to be good for
/// whoever types its words.
#[test]
fn a_check_is_of_the_split_that_was_checked_and_of_its_words() {
    let workshop = with_shares(true);
    std::fs::create_dir(workshop.path("other")).unwrap();
    workshop.ok(&split(&format!("{SHARES} other --no-ledger")));
    let check = |folder: &str| {
        split(&format!(
            "key backup-check --share {folder}/share-1-of-3.html --share {folder}/share-3-of-3.txt --ledger ledger"
        ))
        .iter()
        .map(|word| (*word).to_owned())
        .collect::<Vec<_>>()
    };
    let strs = |line: &[String]| line.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let (known, other) = (strs(&check("pages")), strs(&check("other")));
    assert_eq!(workshop.refused(&split(&other)), ("usage".into(), 2));
    workshop.ok(&split(&known));

    for page in ["share-1-of-3.html", "share-3-of-3.txt"] {
        let whole = workshop.read(&format!("pages/{page}"));
        let text = String::from_utf8(whole.clone()).unwrap();
        let word = words(&workshop, "pages/share-3-of-3.txt")[7].clone();
        let first = words(&workshop, "pages/share-1-of-3.txt")[7].clone();
        let ruined = text.replace(&format!(" {word} "), " zebra ").replace(&format!(" {first}<"), " zebra<");
        assert_ne!(ruined, text, "{page}");
        workshop.write(&format!("pages/{page}"), ruined.as_bytes());
        assert_eq!(workshop.refused(&split(&known)), ("share-damaged".into(), 5), "{page}");
        // In need, the text is as good.
        let recovered = "key recover --share pages/share-1-of-3.html --share pages/share-3-of-3.txt --public root.cose --out \
                         again.pem --no-passphrase";
        let run = workshop.run(&split(recovered));
        assert!(run.exit == 0 && run.stderr.contains("the page is damaged"), "{run:?}");
        std::fs::remove_file(workshop.path("again.pem")).unwrap();
        workshop.write(&format!("pages/{page}"), &whole);
    }
}
