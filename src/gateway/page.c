#include "gateway/gateway.h"

/*
 * The page at /: what a person sees who opens the address in a browser. Static, no script, no
 * style, nothing loaded from anywhere.
 */
static const char policy[] =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const char page_en[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Belfry</title>\n"
    "<h1>Belfry</h1>\n<p>Belfry runs work at its time and tells people what they must know. It is "
    "running here.</p>\n<h2>First start</h2>\n<p>The first start printed a one-time code (it also "
    "stands in the file <code>setup-code</code> of the data folder). Make the first administrator "
    "with it, then sign in:</p>\n"
    "<pre>belfry user setup --code XXXX-XXXX-XXXX\nbelfry user sign-in</pre>\n"
    "<h2>A first job</h2>\n"
    "<pre>belfry job --help</pre>\n"
    "<p>The HTTP API begins at <code>/api/v1/</code>; <code>docs/</code> of the source describes "
    "it.</p>\n</html>\n";

static const char page_zh[] =
    "<!doctype html>\n<html lang=\"zh-CN\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Belfry 钟楼</title>\n"
    "<h1>Belfry 钟楼</h1>\n<p>Belfry 按时执行任务，并把必须知道的事告诉相关的人。它正在这里运行。</p>\n"
    "<h2>首次启动</h2>\n<p>首次启动时打印了一个一次性代码（也保存在数据目录的 "
    "<code>setup-code</code> 文件中）。用它创建第一个管理员，然后登录：</p>\n"
    "<pre>belfry user setup --code XXXX-XXXX-XXXX\nbelfry user sign-in</pre>\n"
    "<h2>第一个作业</h2>\n<pre>belfry job --help</pre>\n"
    "<p>HTTP API 从 <code>/api/v1/</code> 开始，说明见源代码的 <code>docs/</code>。</p>\n</html>\n";

bool page_answer(struct gateway *gateway, struct request *request)
{
    const struct http_request *http = request->http;
    const char *page = request->language == LANGUAGE_ZH ? page_zh : page_en;

    (void)gateway;
    if (!str_is(http->path, "/") || (http->method != HTTP_GET && http->method != HTTP_HEAD))
        return false;
    request_header(request, "Content-Security-Policy", policy);
    request_header(request, "Cache-Control", "no-cache");
    request_header(request, "Vary", "Accept-Language");
    http_answer(request->exchange, 200, "text/html; charset=utf-8", str_of(page));
    return true;
}
