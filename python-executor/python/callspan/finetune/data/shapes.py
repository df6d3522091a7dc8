"""Shapes of values that anybody may make up, and the pools that take them.

Names, words and numbers that nobody has heard before are copied, not remembered.
"""

from __future__ import annotations

from collections import defaultdict

from callspan.finetune.data.wording import listed

# What a shape is made of is in `invent.py`. A pool may stand in several lines, and has the shapes of all of them.
_SHAPES = """
    person | city | company | place | restaurant | hotel | street | app | project: Name
    full_name | artist | author: Name Name
    song | movie: Name word
    product: Name 9 | Name XX-000
    folder | tag | team | word: word
    tag | project | product | item: WORD
    album | book | podcast: word Name
    playlist | topic | phrase | item | device | event | food: word word
    phrase | topic: word 9999 word | word word word
    title: word word word
    message: word word word word | word 0000 word
    task: word the word
    sentence: word the word word
    room: word room | room 000
    branch | repo | service: word-word
    package | container | host: word-9 | word-000
    username: word9 | word0000 | Name_00
    table | column | database: word_word
    file: word_word.ext | word-year-month-day.ext | XXX_0000.ext
    path: /word/word | /word/year/month/word_000.ext
    domain: word.com | word-00.com
    url: https://word.com/word/0000
    email: word@word.com | word.word00@word.com
    street: 99 Name Street | Nameweg 999
    code: XX-999 | XXX000000 | 000-000 | X0X0X0 | 000000 | hex | 9999/00 | #00000
    code: XX-00-XXX | WORD-00 | 0000000000 | word-hex
    phone: +99 000 000 0000 | 000-000-0000 | (000) 000-0000 | 0000 000000 | 00 00 00 00 | 0000000000
    flight_number: XX000 | XX 9999
    bank_account: XX00 0000 0000 0000 | 00000000
    ip: 10.99.99.9
    hex_color: #hex
    year: year
    date: year-month-day | day.month.year | month/day/year | day/month/year
    time: hour:minute | hour.minute | hour:minute:minute
    duration: 9999 sec | 999 s | 99 min | 9h minute | 9:minute:minute
    math_expression: 9999 * 99 | 9.000 + 99.00 | 999999 / 999
    stock: XXXX
"""
INVENTED: dict[str, tuple[str, ...]] = defaultdict(tuple)
for _line in _SHAPES.strip().splitlines():
    _pools, _, _shapes = _line.partition(":")
    for _pool in listed(_pools):
        INVENTED[_pool] += listed(_shapes)
SYLLABLES = listed("""
    ka | lo | mi | ra | ten | vel | dor | sa | ni | bru | pe | qui | sto | fa | gri | mal | wen | tor | zu | li | ha
    bek | ro | ya | ster | na | dim | os | ul | ex
""")
EXTENSIONS = listed("txt | pdf | csv | md | json | png | docx | xlsx | py | log | mp3 | zip")
