//! Frames as another kind of file.

use crate::serve::api::Frame;

/// Writes frames, in their order, as they come. What it holds between two frames is bounded.
pub(in crate::serve) trait Rendering: Send {
    /// One frame.
    fn frame(&mut self, frame: Frame, out: &mut Vec<u8>);

    /// There are no more.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// JSON that may stand in a page's script element: nothing in it can end the element.
pub(super) fn json_for_page(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_string(value).expect("texts, numbers and lists of them are JSON");
    json.replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
