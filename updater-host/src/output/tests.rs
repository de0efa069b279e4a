use indicatif::TermLike;

use super::*;

/// A terminal that notes what is drawn.
#[derive(Clone, Debug)]
struct Noted {
    columns: u16,
    drawn: Arc<Mutex<Vec<String>>>,
}

impl Noted {
    fn new(columns: u16) -> Self {
        Self { columns, drawn: Arc::default() }
    }

    fn note(&self, text: &str) -> std::io::Result<()> {
        self.drawn.lock().unwrap().push(text.to_owned());
        Ok(())
    }

    /// Every piece that was drawn, the widest first.
    fn widths(&self) -> Vec<usize> {
        let drawn = self.drawn.lock().unwrap();
        let mut widths: Vec<usize> = drawn.iter().map(|text| console::measure_text_width(text)).collect();
        widths.sort_unstable();
        widths.reverse();
        widths
    }
}

impl TermLike for Noted {
    fn width(&self) -> u16 {
        self.columns
    }
    fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> std::io::Result<()> {
        self.note(text)
    }
    fn write_str(&self, text: &str) -> std::io::Result<()> {
        self.note(text)
    }
    fn clear_line(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_progress_line_fits_the_terminal() {
    for columns in [40, 63, 64, 80, 132] {
        let terminal = Noted::new(columns);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255);
        let bar = progress_bar(target, 0xFFFF_FFFF, columns);
        bar.set_prefix(Transfer::ToDevice.name());
        for part in 1..=20 {
            bar.set_position(part * 0x0CCC_CCCC);
            bar.tick();
        }
        let widths = terminal.widths();
        assert!(widths[0] > 10 && widths[0] <= usize::from(columns), "{columns}: {widths:?}");
    }
}

#[test]
fn a_countdown_fits_the_terminal_and_names_the_time_that_is_left() {
    let terminal = Noted::new(60);
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255);
    let words = "The new image runs and has not confirmed itself yet, which is a long sentence";
    let spinner = countdown(target, words, Instant::now() + Duration::from_secs(3600));
    spinner.tick();
    spinner.finish();
    assert!(terminal.widths()[0] <= 60, "{:?}", terminal.widths());
    let drawn = terminal.drawn.lock().unwrap().concat();
    assert!(drawn.contains("3600 s left  The new image runs"), "{drawn}");
}

/// A line that is written over a bar mixes with it: the bar goes for the line, and is drawn again below.
#[cfg(feature = "http")]
#[test]
fn a_wait_for_the_server_is_told_above_the_bar() {
    let terminal = Noted::new(80);
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255);
    let output = Output::new(false, false);
    let wait = output.server_wait();
    *drawn(&output.bar) = Some(progress_bar(target, 100, 80));
    drawn(&output.bar).as_ref().unwrap().tick();
    let before = terminal.drawn.lock().unwrap().len();
    assert!(before > 0);
    wait.tell("http://server", Duration::from_secs(9));
    assert!(terminal.drawn.lock().unwrap().len() > before, "it is drawn again");
    output.progress_end();
    let before = terminal.drawn.lock().unwrap().len();
    wait.tell("http://server", Duration::from_secs(9));
    assert_eq!(terminal.drawn.lock().unwrap().len(), before, "there is none");
}
