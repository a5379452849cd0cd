"""A parser of the pages that reports are: what their tests look at."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags, attributes and texts in order; fails on tags that do not match.

    Args:
        html: the page.
        void: tags without an end.
    """

    def __init__(self, html, void):
        super().__init__()
        self.void = void
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).replace("\N{NO-BREAK SPACE}", " ").split())

    def values(self, name):
        return [value for _, key, value in self.attributes if key == name]
