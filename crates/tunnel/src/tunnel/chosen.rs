// SPDX-License-Identifier: BSD-2-Clause
//! Which items of an envelope go on.

use delivery::shared::destination::Destination;
use protocol::category::Categories;
use std::time::Instant;

use crate::envelope::Item;
use crate::forward::Sorted;
use crate::settings::DropItems;

/// Items, parted.
#[derive(Debug, Default)]
pub struct Chosen {
    pub going: Vec<Item>,
    pub staying: Vec<Item>,
}

impl Chosen {
    /// Those that are not of a type that is dropped, nor belong to one that is; `body` is what they were read from.
    pub fn by_type(items: Vec<Item>, drop_items: &DropItems, body: &[u8]) -> Chosen {
        if drop_items.is_empty() {
            return Chosen { going: items, staying: Vec::new() };
        }
        let is_dropped = |item: &Item| drop_items.has(item.kind, &item.word(body));
        let leader_stays = items.iter().find(|item| item.kind.leads()).is_some_and(is_dropped);
        Chosen::by(items, |_, item| !(is_dropped(item) || leader_stays && item.kind.follows()))
    }

    /// Those that Sentry has no limit on, nor on what they belong to.
    pub fn by_limits(items: Vec<Item>, destination: &Destination, now: Instant) -> Chosen {
        let may = destination.may_leave(Categories::ALL, now);
        if may == Categories::ALL {
            return Chosen { going: items, staying: Vec::new() };
        }
        let Sorted { parts, places } = Sorted::of(&items);
        let goes = |place: usize| {
            places.get(place).and_then(|part| parts.get(*part)).is_some_and(|part| part.goes(&parts, may))
        };
        Chosen::by(items, |place, _| goes(place))
    }

    fn by(items: Vec<Item>, goes: impl Fn(usize, &Item) -> bool) -> Chosen {
        let mut chosen = Chosen::default();
        for (place, item) in items.into_iter().enumerate() {
            let side = if goes(place, &item) { &mut chosen.going } else { &mut chosen.staying };
            side.push(item);
        }
        chosen
    }
}
