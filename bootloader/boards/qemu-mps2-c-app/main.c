/* An application in C for QEMU's mps2-an386: it confirms itself, says that it is alive, answers a tester, and goes to the
 * loader when it is asked to (docs/applications.md). Compiled in: APP_VERSION, a string; APP_CONFIRMS, 0 or 1. */
#include "anchorage_layout.h"
#include "uds.h"

/* By then a tester has had time to reach it. */
#define ALIVE_AFTER_MS 3000u

static const struct anchorage_layout LAYOUT = ANCHORAGE_LAYOUT;
static void *const MAILBOX = (void *)ANCHORAGE_MAILBOX;
static struct anchorage_app app;

int main(void)
{
    bool is_up = board_start();
    bool is_alive = false;
    enum uds_wish wish = UDS_NOTHING;
    struct can_frame frame;

    if (anchorage_app_open(&app, &LAYOUT, &BOARD_FLASH) != ANCHORAGE_OK) {
        is_up = false; /* a fault of the build: the trial is not confirmed */
    }
    /* A journal that cannot be written leaves the trial as it is: the next reset reverts, which is right. */
    if (is_up && APP_CONFIRMS) {
        (void)anchorage_app_confirm(&app);
    }
    uds_start(&app, APP_VERSION);
    while (wish == UDS_NOTHING) {
        while (can_receive(&frame)) {
            uds_frame(&frame);
        }
        wish = uds_poll();
        if (!is_alive && board_now_ms() >= ALIVE_AFTER_MS) {
            (void)anchorage_app_alive(MAILBOX);
            is_alive = true;
        }
        if (wish == UDS_NOTHING) {
            board_wait();
        }
    }
    if (wish == UDS_LOADER) {
        (void)anchorage_app_request_loader(MAILBOX);
    }
    board_reset();
}
