"""Pages that show depth in a browser, without a server of their own.

- `site` writes the page that runs an exported model (`scdepth web`);
- `results` writes the page that shows a finished prediction (`scdepth view`);
- `runtime` gets LiteRT.js, which runs it there;
- `page/` holds the page itself: plain HTML, CSS and JavaScript.
"""

from scdepth_tf.web.results import write_view
from scdepth_tf.web.site import write_site

__all__ = ["write_site", "write_view"]
