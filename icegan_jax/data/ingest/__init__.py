"""The preparation of a dataset, from the folders of a database to pairs of registered faces, in stages.

Reading the databases. ``databases/`` describes each for ``read_database``, which runs stages 1 to 4:

1. ``scan.scan_folders`` lists the folders of frames, the videos and the archives below a folder.
2. ``spreadsheets.read_table`` reads the sheets of a workbook or a csv as rows of text by column name, and
   ``read_database.find_workbook`` chooses the table among them.
3. ``annotation.parse_annotation`` makes an ``Annotation`` of a row: subject, clip, emotion, onset, apex and offset.
4. ``match_folders.match_folders`` gives each annotation the folders that hold its frames.

Collecting the clips, where ``collect_clips.collect_clips`` finds the databases and runs stages 5 to 10:

5. ``overrides.match_overrides`` assigns the frame numbers that a user gives by hand to their clips.
6. ``protocol.select_clips`` selects the clips of a protocol and their labels.
7. ``resolve_frames.resolve_frames`` chooses the folder of each clip and lists the frames that exist there.
8. ``repairs.repair_annotation`` moves onset, apex and offset to existing frames, and records each change.
9. ``expected_counts.compare_with_expected_counts`` compares the clips with the counts of a complete database.
10. ``official_list.compare_with_official_list`` compares the clips with the organizers' list, where there is one.

Checking and building:

11. ``check.check_clips`` decodes every frame, for ``--check``, and writes nothing; ``shared_frames`` finds the frames
    of two subjects, here and in the next stage.
12. ``build.prepare_clips`` crops the faces, in processes (``parallel``) and with a ``cache`` of finished clips, and
    writes the prepared folder: the pairs, the tables, the ``summary``, the ``prepared_page`` and a contact sheet.

``messages`` formats the lines that the command prints.
"""
