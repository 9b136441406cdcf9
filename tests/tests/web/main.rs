//! The console's web pages in a real browser: real sign-in, a real recording, and what people do with it.

mod browser;
mod letters;
mod long;
mod pages;
mod stage;
