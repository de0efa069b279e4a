//! Pages to print: one self-contained HTML file each, without scripts and without anything from elsewhere.

use std::fmt::Write as _;

use trust::host::printable;

const STYLE: &str = "body{font:11pt/1.4 sans-serif;margin:2em;max-width:50em}h1{font-size:16pt}h2{font-size:12pt;\
                     margin-top:1.6em}table{border-collapse:collapse;width:100%}td,th{border:1px solid #888;\
                     padding:.2em .5em;text-align:left;vertical-align:top;overflow-wrap:anywhere}code,.words{font-family:monospace;\
                     overflow-wrap:anywhere}.words td{width:16%}svg{width:6cm;height:6cm}@page{size:A4;margin:15mm}\
                     @media print{body{margin:0;max-width:none}h2,tr{break-inside:avoid}}";

/// Text as it is shown on a page: escaped, and without control characters.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for letter in printable(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

/// A whole page; `body` is HTML.
pub fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}</body></html>\n"
    )
}

/// A table; the first row is its head, if `has_head`.
pub fn table(rows: &[Vec<String>], has_head: bool) -> String {
    let mut out = "<table>\n".to_owned();
    for (index, row) in rows.iter().enumerate() {
        let tag = if has_head && index == 0 { "th" } else { "td" };
        out.push_str("<tr>");
        for cell in row {
            // Writing to a string does not fail.
            let _infallible = write!(out, "<{tag}>{}</{tag}>", escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out + "</table>\n"
}

#[cfg(test)]
mod tests {
    use super::{document, table};

    #[test]
    fn what_came_from_outside_is_no_markup() {
        let page = document("<i>", &table(&[vec!["<script>\"'&\u{1b}".to_owned()]], true));
        assert!(page.contains("&lt;script&gt;&quot;&#39;&amp;") && !page.contains("<script"), "{page}");
        assert!(page.contains("<title>&lt;i&gt;</title>") && !page.contains('\u{1b}'), "{page}");
    }
}
