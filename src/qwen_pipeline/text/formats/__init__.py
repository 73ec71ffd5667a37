"""File formats, and the order in which they are tried.

Adapters, each a function marked with `@adapter`, are asked by their ``order``; one whose extension the file has is asked
first (`registry`): parquet (10), excel (11), json_lines (20), delimited (50), yaml_rows (80), markdown (90). The strict ones
come first, since any text is a document.

Values (JSON, YAML): `value_rows` finds the rows in one, `record_shapes` brings other shapes into the plain one, `field_roles`
tells which field is what, `records` makes the row; `single_turns` joins rows that are single turns. Tables: `table_header` finds
the header, then `records`.

Documents (`markdown`), on the beginning of the text; `templated_lines` reads one that begins with a chat template's mark as it stands:

1. `page_lines` leaves out page numbers and running titles.
2. The first of these gives lines the marks ``Q:`` and ``A:``: `numbered_marks` (``1、问：``), `bracket_marks` (pairs on one line, callouts, ``1、…？答：…``,
   ``(Q1)``), `dotted_marks` (``Q.1``, ``Q1 …``, letters of other languages), `answers_at_end`.
3. The first that fits reads it: `instruction_sections`; `marked_pairs` where questions are marked (`markers` has the marks), also in
   block quotes; `dialogue`; `headings`; `folded` (with `admonitions`); `answer_marks` where answers alone are marked; `question_lines`;
   `paragraph_pairs`; `pipe_table`; marked answers without their questions, which are refused; paragraphs in turn.

Speakers that the user names put a dialogue before headings, known ones come after. Nothing found: the same on the text with mojibake
taken back (`mojibake_lines`).
"""
