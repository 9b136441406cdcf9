use super::{Span, merge::merge};

fn span(start: usize, end: usize, rule: u16) -> Span {
    Span {
        start,
        end,
        rule,
        value: None,
    }
}

#[test]
fn findings_that_overlap_become_one_under_the_longer_ones_rule() {
    let mut spans = vec![span(5, 9, 1), span(0, 6, 2), span(9, 12, 3), span(20, 21, 4)];
    merge("0123456789abcdefghijklmnop", &mut spans);
    let first = Span {
        value: Some("012345".into()),
        ..span(0, 9, 2)
    };
    assert_eq!(spans, [first, span(9, 12, 3), span(20, 21, 4)]);
}
