"""The preparation of a dataset, from the folders of a database to pairs of registered faces, in stages.

Reading the databases. ``databases/`` holds one file for each, most of which describe a table for ``read_database``:

1. ``scan.scan_folders`` lists the folders of frames, the videos and the archives below a folder.
2. ``workbooks.find_workbook`` finds the annotation table among the workbooks and csv files of a database.
3. ``spreadsheets.read_table`` reads the sheets of a workbook or a csv as rows of text by column name.
4. ``annotation.parse_annotation`` makes an ``Annotation`` of a row: subject, clip, emotion, onset, apex and offset.
5. ``match_folders.match_folders`` gives each annotation the folders that hold its frames.

Collecting the clips, where ``collect_clips.collect_clips`` runs stages 6 to 12:

6. ``discover.expand_sources`` finds the three databases of MEGC2019 below one folder.
7. ``overrides.match_overrides`` assigns the frame numbers that a user gives by hand to their clips.
8. ``protocol.select_clips`` selects the clips of a protocol and their labels, with the words of ``emotions``.
9. ``resolve_frames.resolve_frames`` chooses the folder of each clip and lists the frames that exist there.
10. ``repairs.repair_annotation`` moves onset, apex and offset to existing frames, and records each change.
11. ``protocol.compare_with_expected_counts`` compares the clips with the ``expected_counts`` of a complete database.
12. ``official_list.compare_with_official_list`` compares the clips with the organizers' list, where there is one.

Checking and building:

13. ``check.check_clips`` decodes every frame, for ``--check``, and writes nothing.
14. ``build.prepare_clips`` crops the faces, in processes (``parallel``) and with a ``cache`` of finished clips, and
    writes the prepared folder: the pairs, the tables, the ``summary``, the ``prepared_page`` and a contact sheet.

``messages`` formats the lines that the command prints.
"""
