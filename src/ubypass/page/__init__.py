# SPDX-License-Identifier: GPL-2.0-only
"""Documents of figures: described once, rendered as HTML or as Markdown.

Independent of the measurements. All content is plain text, which is escaped when it is
rendered.
"""
