"""The words that the generator puts around families' own: courtesies, small talk, verbs, errors, names of fields.

They are drawn by their place in these lists: another order or one more word, and the same seed makes other samples.
"""

from __future__ import annotations

import re


def listed(text: str) -> tuple[str, ...]:
    """What stands between bars and ends of lines."""
    return tuple(part.strip() for part in re.split(r"[|\n]", text) if part.strip())


def _keyed(text: str) -> dict[str, str]:
    """Lines `key: what belongs to it`."""
    return {key: rest.strip() for key, _, rest in (line.strip().partition(":") for line in text.strip().splitlines())}


# Around a request, and no part of it. Nothing here is a time: "now" or "today" could be some tool's argument.
BEFORE = listed("""
    please | hey, | hi, | hello, | can you | could you | could you please | can you please | would you | I want you to
    I need you to | ok, | okay | alright, | hey there, | so, | quick one: | be so kind and | I'd like you to
    go ahead and | just
""")
AFTER = listed("please | thanks | thank you | for me | if you can | if possible | would you | ok? | pls | will you?")
# Between the requests of one message.
LINKS = (
    " and ",
    " and ",
    ", and ",
    " and then ",
    ", then ",
    "; ",
    ". Also ",
    ", also ",
    " and also ",
    " plus ",
    ", and after that ",
    " as well as ",
)
# Around a value that answers a question.
SUPPLIED = listed("{} | {} | {} | {} please | the {} | make it {} | I'd say {} | {}, thanks | use {}")

# Small talk: what is said, and the answer to each line.
CHAT = (
    (
        listed("hello | hi | hi there | good morning | hey | hello there | good evening"),
        "Hello. What can I do for you?",
    ),
    (
        listed("""
            who are you? | what are you? | hello, who are you? | what's your name? | are you a human?
            what can you do? | what can you help me with? | how can you help?
        """),
        "I am a small model that calls functions. Ask me for something that they can do.",
    ),
    (listed("thanks | thank you | great, thanks | thanks a lot | perfect, thank you | cheers"), "You are welcome."),
    (listed("bye | goodbye | see you | good night | that's all | see you later"), "Goodbye."),
)

# What a developer says before the declarations; {} is a person, the others are of a date.
SYSTEMS = listed("""
    You are a helpful assistant. | You are a home assistant. | Be brief. | The user's name is {}. | You work for {}.
    Answer in English.
    Current date and time given in YYYY-MM-DDTHH:MM:SS format: 2026-{m:02}-{d:02}T{h:02}:{n:02}:00
    Today is 2026-{m:02}-{d:02}. | It is {h:02}:{n:02}.
""")

# What tools raise; {} is one of the call's values, {n} a number.
ERRORS = listed("""
    there is no {} | {} was not found | unknown value {} | {} is not allowed | no such thing: {} | {} does not exist
    {} is out of range | timed out | permission denied | the service did not answer | connection refused
    not enough money | the disk is full | {} is already in use | could not read {} | quota exceeded
    {} must be a number | invalid format: {} | you are not signed in | the device is offline
    rate limit reached, try again in {n} seconds | there is nothing for {} | {} is closed | internal error {n}
    only {n} are left | no connection | {} is not supported | the battery is empty | {} cannot be empty
    expected at most {n} characters | no result for {} | {}: no such file
""")
# Fields of a result, and what a text among them says.
FIELDS = listed("""
    status | count | id | name | total | price | result | message | state | unit | label | set | start | end | city
    score | size | title | date | level | owner | code | position | speed | distance | rate | words | left | next
    average | value | number | time | phone | length | weight | temperature | reference | version | serial | balance
    amount | percent | ratio | address | file
""")
STATES = listed("ok | done | saved | sent | started | on | off | ready | pending | open | closed | confirmed | active")

# Of tools that are made up on the spot: what they do, and parameters with their kinds as families write them.
VERBS = listed("""
    get | show | list | find | search | read | check | count | measure | inspect | scan | test | verify | create | add
    make | build | draw | write | open | close | lock | unlock | start | stop | pause | resume | restart | enable
    disable | mute | unmute | hide | reveal | move | copy | rename | delete | remove | clear | reset | update | change
    set | adjust | raise | lower | increase | decrease | send | share | publish | print | export | import | upload
    download | save | load | archive | restore | merge | split | sort | filter | assign | approve | reject | cancel
    book | reserve | order | rent | return | repair | clean | wash | paint | cook | mix | fill | empty | weigh | cut
    fold | wrap | label | tag | pin | follow | block | invite | call | notify | remind | schedule | plan | track | log
    record | play | rate | review | compare | convert | translate | encrypt | decrypt | sign | stamp | calibrate
    activate | deactivate | register | attach | detach | connect | disconnect | mount | deploy
""")
PARAMETERS = _keyed("""
    name: string phrase
    title: string title
    id: string code
    code: string code
    city: string city
    location: string place
    owner: string person
    recipient: string person
    date: string date
    time: string time
    duration: string duration
    amount: num 1..500
    count: int 1..50
    limit: int 1..100
    level: int 0..100
    width: num 1..400
    priority: enum: low | medium | high
    size: enum: small | medium | large
    format: enum: pdf | csv | json | html
    color: string color
    reason: string phrase
    label: string tag
    path: string path
    target: string phrase
    mode: enum: auto | manual | eco
    team: string team
    speed: num 1..200
    temperature: num -20..200
    email: string email
    tags: list tag
    side: enum: left | right
    number: int 0..99999999
    reference: string code
    phone: string phone
    ratio: num 0..2
    address: string street
    start: string date
    ids: list code
""")

# Words of tools' names that say little about what a tool is for.
COMMON = frozenset(
    listed("""
    get | set | find | search | create | make | add | list | show | check | start | stop | update | delete | remove
    send | open | close | lookup | look | up | fetch | query | read | view | new | change | control | manage | run | do
    info | information | status | details | data | my | a | the | to | for | of | in | on | by | with | from | and
    item | items
""")
)
