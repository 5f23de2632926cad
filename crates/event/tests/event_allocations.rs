// SPDX-License-Identifier: BSD-2-Clause
//! What a capture asks of the allocator: the record's buffer and the box that travels, and to write one event after the
//! other nothing for the buffers it is written into.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::record::Record;
use event::capture::scope::Scope;
use event::capture::task_log::{FileForm, LogForm, TaskLog};
use event::error_event::{ErrorEvent, Form};
use protocol::category::Categories;
use protocol::entry::{Context, Entry, Scratch};
use protocol::envelope::Envelope;
use protocol::event_id::EventId;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's, which counts what each thread asks of it.
struct Counting;

// SAFETY: every call goes on to the system's allocator as it came; the count is a constant thread-local, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller vouches for the layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: the caller vouches that the piece came from here with this layout, and so from the system.
        unsafe { System.dealloc(piece, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn capture(base: &Arc<Scope>, form: &Arc<Form>, log: Option<TaskLog>) -> Box<dyn Entry> {
    // As much room as it nearly fills; what is much too large would be given back, by another one.
    let mut fields = Fields::with_room(2048);
    fields.put(Kind::Message, b"", b"no backend");
    (0..40).for_each(|_| fields.put(Kind::RequestHeader, b"", b"Accept-Language: de, en;q=0.5"));
    fields.begin_scopes();
    fields.put(Kind::Log, b"", b"log");
    let mut record = Record::new(EventId::from_random([7; 16]), UNIX_EPOCH, Level::Error, base.clone(), fields);
    record.log = log;
    Box::new(ErrorEvent::new(record, form.clone()))
}

#[test]
fn a_capture_takes_two_pieces_of_memory() {
    let (base, form) = (Arc::default(), Arc::default());
    let log = TaskLog {
        form: LogForm::Both,
        read: |_, _| {},
        file: FileForm::Varnishlog,
        transaction: "Request",
        id: 1,
        gap: None,
    };
    for log in [None, Some(log)] {
        let before = ALLOCATIONS.get();
        let entry = capture(&base, &form, log);
        assert_eq!(ALLOCATIONS.get() - before, 2, "with {} parts", entry.parts().len());
    }
}

#[test]
fn buffers_that_had_an_event_are_large_enough_for_its_like() {
    let entry = capture(&Arc::default(), &Arc::default(), None);
    let (mut scratch, mut envelope) = (Scratch::default(), Envelope::default());
    let mut room = [(); 2].map(|()| {
        envelope.clear();
        let mut context = Context { dsn: None, wall: UNIX_EPOCH, may: Categories::ALL, scratch: &mut scratch };
        entry.write(&mut context, &mut envelope);
        (scratch.json.capacity(), scratch.json.as_ptr(), envelope.items().as_ptr())
    });
    assert!(!envelope.is_empty());
    room.rotate_left(1);
    assert_eq!(room[0], room[1]);
}
