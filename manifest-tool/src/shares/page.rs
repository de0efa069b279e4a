//! The page of a share, for a person who keeps it: as HTML to print, and as plain text.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

use super::{Share, ShareFault};
use crate::error::Error;
use crate::html;

/// Longest page of a share that is read, bytes.
pub const MAX_PAGE_LEN: u64 = 256 * 1024;
/// Words in a line of the page, and of the prompt.
pub const WORDS_A_LINE: usize = 6;

/// What the page says beside the share.
pub struct About<'a> {
    /// Name of the key.
    pub name: &'a str,
    /// Who keeps this share.
    pub holder: Option<&'a str>,
    /// When it was made.
    pub made: String,
    /// How many shares there are.
    pub count: u8,
}

/// How the page tells what to do.
fn instructions(share: &Share) -> String {
    format!(
        "Any {} shares of this split make the private key again; fewer say nothing about it. Keep this page where nobody \
         else reads it, and tell the others if it is lost. To make the key again: manifest-tool key recover --type \
         --out KEY.pem; type the words (four letters of each are enough), or scan the QR code into a file for --share.",
        share.threshold()
    )
}

fn rows(share: &Share, about: &About<'_>) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("key", format!("{} ({})", about.name, crate::describe::kid(share.kid()))),
        ("share", format!("{} of {}; {} are needed", share.number(), about.count, share.threshold())),
        ("split", format!("{}, made {}", hex::encode(share.split()), about.made)),
    ];
    rows.extend(about.holder.map(|holder| ("kept by", holder.to_owned())));
    rows
}

/// The page as text.
#[must_use]
pub fn text(share: &Share, about: &About<'_>) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(4096));
    // Writing to a string does not fail.
    let _infallible = writeln!(out, "SECRET: one share of a private key\n");
    out.push_str(&crate::output::table(&rows(share, about)));
    out.push_str("\n\nWords:\n");
    for (line, words) in share.words().chunks(WORDS_A_LINE).enumerate() {
        let _infallible = write!(out, "{:>3}.", line * WORDS_A_LINE + 1);
        for word in words {
            let _infallible = write!(out, " {word:<9}");
        }
        out.push('\n');
    }
    let _infallible = writeln!(out, "\nThe same as text:\n{}\n\n{}", *share.code(), instructions(share));
    out
}

/// The page to print.
///
/// # Errors
/// [`ShareFault::Text`] if there were no QR code for it
pub fn html(share: &Share, about: &About<'_>) -> Result<Zeroizing<String>, ShareFault> {
    let code = share.code();
    let image =
        QrCode::with_error_correction_level(code.as_bytes(), EcLevel::Q).map_err(|_| ShareFault::Text)?;
    let image = Zeroizing::new(image.render::<svg::Color<'_>>().build());
    // An SVG inside of HTML has no declaration of its own.
    let svg = image.find("<svg").and_then(|start| image.get(start..)).ok_or(ShareFault::Text)?;
    let mut body = Zeroizing::new(String::with_capacity(64 * 1024));
    let cells: Vec<Vec<String>> =
        rows(share, about).into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    body.push_str(&html::table(&cells, false));
    body.push_str("<h2>Words</h2>\n<table class=\"words\">\n");
    for (line, words) in share.words().chunks(WORDS_A_LINE).enumerate() {
        body.push_str("<tr>");
        for (place, word) in words.iter().enumerate() {
            let _infallible = write!(body, "<td>{}. {word}</td>", line * WORDS_A_LINE + place + 1);
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</table>\n<h2>The same as a QR code</h2>\n");
    body.push_str(svg);
    let _infallible = write!(body, "\n<p><code>{}</code></p>\n<p>", *code);
    body.push_str(&html::escape(&instructions(share)));
    body.push_str("</p>\n");
    Ok(Zeroizing::new(html::document("SECRET: one share of a private key", &body)))
}

/// The files of the pages of `count` shares, in the order of [`all`].
#[must_use]
pub fn files(folder: &Path, count: usize) -> Vec<PathBuf> {
    let of = |number| ["html", "txt"].map(|form| folder.join(format!("share-{number}-of-{count}.{form}")));
    (1..=count).flat_map(of).collect()
}

/// The pages of shares that were made together: of each share one to print, and one as text. Each is read back.
///
/// # Errors
/// [`Error::Shares`]; [`Error::Internal`]
pub fn all(
    shares: &[Share],
    name: &str,
    holders: &[Option<&str>],
    made: &str,
) -> Result<Vec<Zeroizing<String>>, Error> {
    let count = u8::try_from(shares.len()).map_err(|_| Error::Internal("there are too many shares"))?;
    let mut pages = Vec::new();
    for (share, holder) in shares.iter().zip(holders) {
        let about = About { name, holder: *holder, made: made.to_owned(), count };
        for page in [html(share, &about).map_err(Error::Shares)?, text(share, &about)] {
            // What stands on the page is what will be read one day.
            let read = Share::parse(page.as_bytes()).map_err(Error::Shares)?;
            read.check_words(page.as_bytes()).map_err(Error::Shares)?;
            if *read.code() != *share.code() {
                return Err(Error::Internal("the page of a share cannot be read back"));
            }
            pages.push(page);
        }
    }
    Ok(pages)
}
