//! Promise 4 on many instances: a simulation of leases under crashes, delays, partitions and clocks that differ. Each seed
//! is a story of its own and always the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tollgate_core::access::{HolderKind, HolderRef};
use tollgate_core::ledger::{Book, Budget, Hold, Meter, Need, Roster, Sheet, SheetKey, Taken, Urgency, Usd};
use tollgate_core::price::Cost;
use tollgate_core::usage::{Usage, UsageSource};

const LEASE_S: i64 = 30;
const MARGIN_S: i64 = 3;
const DEAREST: u64 = 10;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// What all instances share: documents with versions, and a clock.
#[derive(Default)]
struct Shelf {
    sheets: HashMap<SheetKey, (u64, Sheet)>,
    roster: (u64, Roster),
}

/// What an instance is about to change: it reads, takes, writes, and hears that it was written, with anything in between.
struct Exchange {
    sheets: Vec<(SheetKey, u64, Sheet, Option<Taken>)>,
    /// When it asked, by its own clock, and what it read of the roster.
    asked: i64,
    roster: (u64, Roster),
    stage: Stage,
    /// Whether it says that the instance is there.
    renews: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Read,
    Taken,
    Written,
}

struct Instance {
    name: Arc<str>,
    /// None while it is dead.
    book: Option<Book>,
    /// How far its wall clock is off, in seconds.
    skew: i64,
    /// Until when it uses its leases, by its own monotonic clock, which is the world's.
    usable_until: i64,
    renews_at: i64,
    open: Vec<(Hold, u64)>,
    exchange: Option<Exchange>,
    partitioned: bool,
    /// What its journal says that it has counted.
    journal: u64,
}

struct World {
    meter: Arc<Meter>,
    ceiling: u64,
    now: i64,
    shelf: Shelf,
    instances: Vec<Instance>,
    /// What released instances had used and not said: the operator's word stands against it.
    forgiven: u64,
    dice: Dice,
}

fn need(nano: u64) -> Need {
    let usage = Usage { source: UsageSource::Reported, ..Usage::default() };
    Need { usage, cost: Cost::Known(nano), most: Some(nano) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let ceiling = 50 + dice.roll(1_000);
        let budget = serde_json::json!({ "id": "b", "amount_usd": Usd::from_nano(ceiling), "window": "total", "strict": true });
        let budget: Budget = serde_json::from_value(budget).unwrap();
        let holder = HolderRef { kind: HolderKind::Team, id: "t".into() };
        let meter = Arc::new(Meter::of_budget(&holder, &budget, at(0)).unwrap());
        let instances = (0..2 + dice.roll(3)).map(|number| Instance {
            name: format!("i{number}").into(),
            book: Some(Book::shared()),
            skew: i64::try_from(dice.roll(7)).unwrap() - 3,
            usable_until: 0,
            renews_at: 0,
            open: Vec::new(),
            exchange: None,
            partitioned: false,
            journal: 0,
        });
        Self {
            instances: instances.collect(),
            meter,
            ceiling,
            now: 0,
            shelf: Shelf::default(),
            forgiven: 0,
            dice,
        }
    }

    fn call(&mut self, which: usize, nano: u64) -> bool {
        let (now, meter) = (self.now, Arc::clone(&self.meter));
        let instance = &mut self.instances[which];
        let Some(book) = &mut instance.book else { return false };
        if now >= instance.usable_until {
            book.lapse();
        }
        let wall = at(now + instance.skew);
        let mut hold = book.open([&meter].into_iter(), wall);
        let held = book.hold(&mut hold, &need(nano), wall).is_ok();
        if held {
            instance.open.push((hold, nano));
        }
        held
    }

    /// A call ends, and costs at most what was held for it.
    fn settle(&mut self, which: usize) {
        let wall = at(self.now + self.instances[which].skew);
        let open = self.instances[which].open.len() as u64;
        if open == 0 {
            return;
        }
        let number = usize::try_from(self.dice.roll(open)).unwrap();
        let (mut hold, most) = self.instances[which].open.swap_remove(number);
        let cost = self.dice.roll(most + 1);
        let instance = &mut self.instances[which];
        instance.journal += cost;
        if let Some(book) = &mut instance.book {
            book.settle(&mut hold, Some(&need(cost)), wall);
        }
    }

    fn read(&mut self, which: usize, urgency: Urgency) {
        let instance = &mut self.instances[which];
        let Some(book) = instance.book.as_mut().filter(|_| !instance.partitioned) else { return };
        if self.now >= instance.usable_until {
            book.lapse();
        }
        let read = |key: SheetKey| {
            let (version, sheet) = self.shelf.sheets.get(&key).cloned().unwrap_or_default();
            (key, version, sheet, None)
        };
        let sheets = book.due(urgency).into_iter().map(|due| read(due.key)).collect();
        instance.exchange = Some(Exchange {
            sheets,
            asked: self.now,
            roster: self.shelf.roster.clone(),
            stage: Stage::Read,
            renews: false,
        });
    }

    /// The next stage of an exchange. What was read is written back where nobody else has written; the answer may be
    /// lost.
    fn go_on(&mut self, which: usize, answer_is_lost: bool) {
        let instance = &mut self.instances[which];
        let Some(exchange) = &mut instance.exchange else { return };
        let Some(book) = instance.book.as_mut().filter(|_| !instance.partitioned) else { return };
        match exchange.stage {
            Stage::Read => {
                for (key, _, sheet, taken) in &mut exchange.sheets {
                    *taken = book.take(&instance.name, key, sheet, &exchange.roster.1, at(self.now));
                }
                exchange.stage = Stage::Taken;
            }
            Stage::Taken => {
                let (version, roster) = &mut exchange.roster;
                if instance.renews_at <= self.now {
                    if *version != self.shelf.roster.0 {
                        instance.exchange = None;
                        return;
                    }
                    roster.renew(&instance.name, at(exchange.asked + LEASE_S), None);
                    self.shelf.roster = (*version + 1, roster.clone());
                    exchange.renews = true;
                }
                for (key, version, sheet, taken) in &mut exchange.sheets {
                    let kept = self.shelf.sheets.entry(key.clone()).or_default();
                    if taken.is_some() && kept.0 == *version {
                        *kept = (*version + 1, sheet.clone());
                    } else {
                        *taken = None;
                    }
                }
                exchange.stage = Stage::Written;
            }
            Stage::Written => {
                let exchange = instance.exchange.take().filter(|_| !answer_is_lost);
                for (key, _, _, taken) in exchange.iter().flat_map(|exchange| &exchange.sheets) {
                    taken.iter().for_each(|taken| book.taken(key, taken));
                }
                if let Some(exchange) = exchange.filter(|exchange| exchange.renews) {
                    instance.usable_until = exchange.asked + LEASE_S - MARGIN_S;
                    instance.renews_at = exchange.asked + LEASE_S / 2;
                }
            }
        }
    }

    fn exchange(&mut self, which: usize, urgency: Urgency) {
        self.read(which, urgency);
        (0..3).for_each(|_| self.go_on(which, false));
    }

    fn crash(&mut self, which: usize) {
        let instance = &mut self.instances[which];
        instance.book = None;
        instance.exchange = None;
        // What may have been sent is charged as it was held when the journal is read again.
        let unknown: u64 = instance.open.drain(..).map(|(_, most)| most).sum();
        instance.journal += unknown;
    }

    fn restart(&mut self, which: usize) {
        let (now, meter) = (self.now, Arc::clone(&self.meter));
        let instance = &mut self.instances[which];
        instance.exchange = None;
        if instance.book.is_none() {
            let mut book = Book::shared();
            book.restore(&meter, meter.bounds(at(now)).start, instance.journal, at(now + instance.skew));
            (instance.usable_until, instance.renews_at) = (0, 0);
            instance.book = Some(book);
        }
    }

    /// An operator says that an instance of which nobody has heard will not come back, and may be wrong.
    fn release(&mut self, which: usize) {
        let instance = &self.instances[which];
        let already =
            self.shelf.roster.1.each().any(|(name, presence)| *name == instance.name && presence.released);
        if already || self.shelf.roster.1.release(&instance.name, at(self.now)).is_err() {
            return;
        }
        self.shelf.roster.0 += 1;
        let said = self.shelf.sheets.values().filter_map(|(_, sheet)| sheet.lease(&instance.name)).next();
        let used = instance.journal + instance.open.iter().map(|(_, most)| most).sum::<u64>();
        self.forgiven += used.saturating_sub(said.unwrap_or_default().used);
    }

    fn step(&mut self) {
        let which = usize::try_from(self.dice.roll(self.instances.len() as u64)).unwrap();
        match self.dice.roll(100) {
            0..35 => {
                let nano = 1 + self.dice.roll(DEAREST);
                self.call(which, nano);
            }
            35..55 => self.settle(which),
            55..61 => self.read(which, Urgency::Now),
            61..65 => self.read(which, Urgency::Soon),
            65..88 => {
                let lost = self.dice.roll(10) == 0;
                self.go_on(which, lost);
            }
            88..89 => self.crash(which),
            89..91 => self.restart(which),
            91..93 => self.instances[which].partitioned ^= true,
            93..97 => self.release(which),
            _ => self.now += i64::try_from(self.dice.roll(30)).unwrap(),
        }
    }

    fn used(&self) -> u64 {
        let each = self.instances.iter();
        each.map(|i| i.journal + i.open.iter().map(|(_, most)| most).sum::<u64>()).sum()
    }

    /// Everything works again, and everybody tells the others how they are.
    fn heal(&mut self) {
        for which in 0..self.instances.len() {
            self.instances[which].partitioned = false;
            self.restart(which);
            while !self.instances[which].open.is_empty() {
                self.settle(which);
            }
        }
        for _ in 0..4 {
            self.talk();
        }
    }

    fn talk(&mut self) {
        self.now += 1;
        for which in 0..self.instances.len() {
            self.exchange(which, Urgency::Soon);
        }
    }
}

#[test]
fn a_strict_budget_is_never_passed_and_its_last_cent_can_be_spent_anywhere() {
    for seed in 0..3_000 {
        let mut world = World::new(seed);
        for step in 0..400 {
            world.step();
            let (used, forgiven) = (world.used(), world.forgiven);
            assert!(
                used <= world.ceiling + forgiven,
                "seed {seed}, step {step}: {used} of {} (+{forgiven})",
                world.ceiling
            );
        }
        world.heal();
        let left = world.ceiling.saturating_sub(world.used());
        let which = usize::try_from(seed).unwrap() % world.instances.len();
        let asks = left.min(DEAREST);
        let mut done = world.call(which, asks);
        for _ in 0..4 {
            if !done {
                world.talk();
                done = world.call(which, asks);
            }
        }
        assert!(done, "seed {seed}: {asks} is refused, though {left} of {} are left", world.ceiling);
    }
}

/// While nothing is wrong, few calls ask the others.
#[test]
fn a_lease_suffices_for_most_calls() {
    let mut world = World::new(1);
    let budget = serde_json::json!({ "id": "b", "amount_usd": "100", "window": "total" });
    let budget: Budget = serde_json::from_value(budget).unwrap();
    let holder = HolderRef { kind: HolderKind::Team, id: "t".into() };
    world.meter = Arc::new(Meter::of_budget(&holder, &budget, at(0)).unwrap());
    let (mut calls, mut asked) = (0, 0);
    // Calls of a cent.
    let cent = 10_000_000;
    for round in 0..9_000 {
        let which = round % world.instances.len();
        while !world.call(which, cent) {
            world.exchange(which, Urgency::Now);
            asked += 1;
        }
        calls += 1;
        let (mut hold, _) = world.instances[which].open.pop().unwrap();
        let wall = at(world.now + world.instances[which].skew);
        world.instances[which].book.as_mut().unwrap().settle(&mut hold, Some(&need(cent)), wall);
    }
    assert_eq!(calls, 9_000);
    assert!(asked < 150, "{asked} of {calls} calls have asked");
}
