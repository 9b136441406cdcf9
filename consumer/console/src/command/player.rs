//! A session played in a terminal. What a key does is in [`tape`], which knows no terminal; here it is drawn.

mod screen;
mod tape;

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::{cursor, execute, terminal};
use tokio::sync::mpsc;

use super::api::Api;
use crate::serve::{Frame, Session};
use screen::{Look, draw};
use tape::{Command, Tape};

/// Between two pictures while it plays.
const TICK: Duration = Duration::from_millis(40);
/// Frames that are asked for at once.
const PAGE: u32 = 500;
/// Bytes of each payload: as much as a screen shows. Memory grows with the session by so much a frame at most.
const PAYLOAD: u64 = 2048;

/// Plays it until somebody quits.
pub(super) async fn play(api: &Api, session: &Session, speed: f64) -> anyhow::Result<()> {
    let (frames, arriving) = mpsc::channel(2);
    let load = async {
        let mut after = Some(0);
        while let Some(place) = after {
            let page = api.frames(session.session_id, place, PAGE, PAYLOAD).await;
            after = page.as_ref().ok().and_then(|page| page.next);
            // Nobody looks any more.
            if frames.send(page.map(|page| page.items)).await.is_err() {
                break;
            }
        }
        drop(frames);
    };
    let heading = heading(session)?;
    let total = session.frames;
    let screen = tokio::task::spawn_blocking(move || on_screen(&heading, total, speed, arriving));
    let ((), played) = tokio::join!(load, screen);
    played?
}

fn heading(session: &Session) -> anyhow::Result<String> {
    let mut heading = Vec::new();
    crate::show::heading(&session.heading(), &mut heading)?;
    Ok(String::from_utf8_lossy(&heading).trim_end().to_owned())
}

/// The terminal as it was, however this ends.
struct Screen;

impl Screen {
    fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone need not be put right.
        let _ = execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

fn on_screen(
    heading: &str,
    total: u64,
    speed: f64,
    mut arriving: mpsc::Receiver<anyhow::Result<Vec<Frame>>>,
) -> anyhow::Result<()> {
    let _screen = Screen::open()?;
    let look = Look::from_environment();
    let (mut tape, mut is_whole) = (Tape::new(speed), false);
    let mut drawn = Vec::new();
    let mut last = Instant::now();
    loop {
        while !is_whole {
            match arriving.try_recv() {
                Ok(frames) => tape.add(frames?),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => is_whole = true,
            }
        }
        tape.pass(last.elapsed());
        last = Instant::now();
        let (width, height) = terminal::size()?;
        let loading = (!is_whole).then_some(total);
        let lines = draw(&tape, heading, loading, &look, width.into(), height.into());
        if lines != drawn {
            paint(&lines)?;
            drawn = lines;
        }
        if !event::poll(TICK)? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => match command(key) {
                Some(Command::Quit) => return Ok(()),
                Some(command) => tape.obey(command),
                None => {}
            },
            Event::Resize(..) => drawn.clear(),
            _ => {}
        }
    }
}

fn command(key: KeyEvent) -> Option<Command> {
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Command::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Command::Quit,
        KeyCode::Char(' ') => Command::PlayOrPause,
        KeyCode::Char('.') | KeyCode::Char('n') | KeyCode::Down => Command::Step(1),
        KeyCode::Char(',') | KeyCode::Char('p') | KeyCode::Up => Command::Step(-1),
        KeyCode::PageDown => Command::Step(20),
        KeyCode::PageUp => Command::Step(-20),
        KeyCode::Right => Command::Seek(5),
        KeyCode::Left => Command::Seek(-5),
        KeyCode::Char('+') | KeyCode::Char('=') => Command::Faster,
        KeyCode::Char('-') => Command::Slower,
        KeyCode::Home | KeyCode::Char('g') => Command::ToStart,
        KeyCode::End | KeyCode::Char('G') => Command::ToEnd,
        KeyCode::Char(digit @ '0'..='9') => Command::ToTenth(digit as u8 - b'0'),
        KeyCode::Char('i') => Command::SkipIdle,
        KeyCode::Enter => Command::Open,
        _ => return None,
    })
}

fn paint(lines: &[String]) -> io::Result<()> {
    let mut picture = String::new();
    for (row, line) in lines.iter().enumerate() {
        // To the row's beginning, the line, and nothing behind it: a screen that is cleared first flickers.
        picture.push_str(&format!("\x1b[{};1H{line}\x1b[0m\x1b[K", row + 1));
    }
    picture.push_str("\x1b[J");
    let mut out = io::stdout().lock();
    out.write_all(picture.as_bytes())?;
    out.flush()
}
