"""The bars: ratios and limits that the library is held to. Smaller is better everywhere."""

from typing import Callable, NamedTuple, Optional

from .contestants import LOOP, LOOP_CORO, OURS, OURS_CORO


class Bar(NamedTuple):
    text: str
    value_of: Callable
    must: Optional[float]  # None: nothing is required, there is but the moonshot
    moonshot: Optional[float]


def cost(contestant, scenario):
    return lambda m: m[contestant, scenario]["cpu_ns_per_tick"]


def ratio(of, to):
    return lambda m: of(m) / to(m)


def start_and_cancel(contestant):
    return lambda m: m[contestant, "F"]["set_up_ns"] + m[contestant, "F"]["tear_down_ns"]


def worst(key, contestant, scenarios):
    return lambda m: max(m[contestant, s][key] for s in scenarios)


# "P8 sparse" is a part of P8; the verdict on P8 is that on its worst part.
BARS = {
    "P1": Bar("CPU per tick in F, plain, to the callback loop",
              ratio(cost(OURS, "F"), cost(LOOP, "F")), 1 / 6, 1 / 10),
    "P2": Bar("CPU per tick in S3, plain, to the callback loop",
              ratio(cost(OURS, "S3"), cost(LOOP, "S3")), 1 / 8, 1 / 15),
    "P3": Bar("CPU per tick in F, awaitable, to the awaitable loop",
              ratio(cost(OURS_CORO, "F"), cost(LOOP_CORO, "F")), 1 / 6, 1 / 10),
    "P4": Bar("CPU per tick in C, plain, to the callback loop",
              ratio(cost(OURS, "C"), cost(LOOP, "C")), 1 / 10, 1 / 20),
    "P5": Bar("bytes per sleeping timer in F, the larger of plain and awaitable",
              lambda m: max(m[OURS, "F"]["bytes_per_timer"], m[OURS_CORO, "F"]["bytes_per_timer"]),
              200, 160),
    "P6": Bar("start + cancel in F, plain, to the callback loop",
              ratio(start_and_cancel(OURS), start_and_cancel(LOOP)), 1, 1 / 3),
    "P7 flat": Bar("CPU per tick, plain, F to E", ratio(cost(OURS, "F"), cost(OURS, "E")), 1.5, 1.2),
    # Both coalesce alike; what F has on top is work that grows with the number of timers.
    "P7 stall": Bar("lateness p99 in F beyond that in C, plain, us",
                    lambda m: m[OURS, "F"]["late_p99_us"] - m[OURS, "C"]["late_p99_us"], 1000, 500),
    "P8 early": Bar("share of ticks that came early in A, C and F, plain",
                    worst("early_share", OURS, "ACF"), 0, None),
    "P8 sparse": Bar("lateness p50 in A, plain, to the callback loop",
                     lambda m: m[OURS, "A"]["late_p50_us"] / m[LOOP, "A"]["late_p50_us"], 1.2, None),
    "P8 dense p50": Bar("lateness p50, the worse of C and F, plain, us",
                        worst("late_p50_us", OURS, "CF"), 650, None),
    "P8 dense p99": Bar("lateness p99, the worse of C and F, plain, us",
                        worst("late_p99_us", OURS, "CF"), 1500, None),
    "P9": Bar("heap allocations per tick, plain, the worse of void and int",
              lambda m: max(m["allocations", ""]["plain_void"], m["allocations", ""]["plain_int"]),
              0, 0),
    "P9 awaitable": Bar("heap allocations per tick beyond the target's own frame, awaitable",
                        lambda m: max(0, m["allocations", ""]["awaitable_beyond_frame"]), None, 0),
    # Steps through the slots would make it 3600; what is above 1 here is noise.
    "P10": Bar("time to find the slot after a stall of 1 h to that after 1 s, delay 1 us",
               lambda m: m["stall", ""]["ratio"], 1.5, None),
    "P11": Bar("1,000,000 ticks in virtual time, the worse of 1 and 1,000 timers, s",
               lambda m: max(m["virtual_time", ""]["one_timer_s"],
                             m["virtual_time", ""]["thousand_timers_s"]), 1, 0.2),
    "P12 A": Bar("CPU per tick in A, plain, to the callback loop",
                 ratio(cost(OURS, "A"), cost(LOOP, "A")), 1.1, 1),
    "P12 B": Bar("CPU per tick in B, plain, to the callback loop",
                 ratio(cost(OURS, "B"), cost(LOOP, "B")), 1.1, 1 / 20),
}


def number_of(name):
    return name.split()[0]


def numbers():
    return list(dict.fromkeys(number_of(name) for name in BARS))


def named(wanted):
    """The bars of these numbers, all of them if None."""
    return [name for name in BARS if wanted is None or number_of(name) in wanted]


def pairs_for(names):
    """Finds what the bars look at by asking them."""
    seen = set()

    class Ones(dict):
        def __missing__(self, key):
            return 1

    class Asked(dict):
        def __missing__(self, pair):
            seen.add(pair)
            return Ones()

    for name in names:
        BARS[name].value_of(Asked())
    return seen


def judge(medians, names):
    """The results of the bars, {name: {value, must, moonshot, met}}, and those that have no figures."""
    results, missing = {}, []
    for name in names:
        bar = BARS[name]
        try:
            value = bar.value_of(medians)
        except KeyError:
            missing.append(name)
            continue
        met = value <= bar.must if bar.must is not None else None
        results[name] = {"value": value, "must": bar.must, "moonshot": bar.moonshot, "met": met}
    return results, missing


def with_wholes(results):
    """Adds to the parts of a bar the bar: how much of its limit the worst part takes up, to 1."""
    whole = {}
    for number in numbers():
        parts = {name: results[name] for name in BARS if number_of(name) == number and name in results}
        if number in parts:
            whole[number] = parts[number]
        elif parts:
            worst_share = max(share_of_limit(part) for part in parts.values())
            complete = len(parts) == sum(number_of(name) == number for name in BARS)
            whole[number] = {"value": worst_share, "must": 1, "moonshot": None,
                             "met": complete and all(part["met"] is not False for part in parts.values())}
        whole.update(parts)
    return whole


def share_of_limit(result):
    if result["must"]:
        return result["value"] / result["must"]
    return 1 + result["value"] if result["met"] is False else 0
