/**
 * Byte offsets and sizes of the structures of Xen's interface, as a 32-bit guest has them, and what a domain finds at its start.
 * Plain constants, valid as AssemblyScript and as TypeScript. Source: Xen's public headers, compiled for i386.
 */

// ---------------------------------------------------------------------------------------------------------------
// struct shared_info and what it holds (xen.h, arch-x86/xen.h)
// ---------------------------------------------------------------------------------------------------------------

export const SHARED_INFO_BYTES = 0x928;
/** vCPUs that have their vcpu_info in struct shared_info. */
export const XEN_LEGACY_MAX_VCPUS = 32;
export const SI_VCPU_INFO = 0x000;
export const SI_EVTCHN_PENDING = 0x800;
export const SI_EVTCHN_MASK = 0x880;
export const SI_WC_VERSION = 0x900;
export const SI_WC_SEC = 0x904;
export const SI_WC_NSEC = 0x908;
export const SI_MAX_PFN = 0x90c;
export const SI_PFN_TO_MFN_FRAME_LIST_LIST = 0x910;
export const SI_NMI_REASON = 0x914;
/** The guest's list of machine frames by virtual address: CR3 of tables that map it, and where; 0 for a guest that keeps the tree. */
export const SI_P2M_CR3 = 0x918;
export const SI_P2M_VADDR = 0x91c;
export const SI_WC_SEC_HI = 0x924;

export const VCPU_INFO_BYTES = 0x40;
/** Highest offset in a page at which a registered vcpu_info may begin. */
export const VCPU_INFO_MAX_OFFSET = 0xfc0;
export const VI_UPCALL_PENDING = 0x00;
export const VI_UPCALL_MASK = 0x01;
export const VI_PENDING_SEL = 0x04;
export const VI_CR2 = 0x08;
export const VI_TIME = 0x20;

export const TIME_INFO_BYTES = 0x20;
export const TI_VERSION = 0x00;
export const TI_TSC_TIMESTAMP = 0x08;
export const TI_SYSTEM_TIME = 0x10;
export const TI_TSC_TO_SYSTEM_MUL = 0x18;
export const TI_TSC_SHIFT = 0x1c;
export const TI_FLAGS = 0x1d;

export const RUNSTATE_INFO_BYTES = 0x2c;
export const RS_STATE = 0x00;
export const RS_STATE_ENTRY_TIME = 0x04;
export const RS_TIME = 0x0c;

// ---------------------------------------------------------------------------------------------------------------
// struct start_info (xen.h)
// ---------------------------------------------------------------------------------------------------------------

export const START_INFO_BYTES = 0x458;
export const START_MAGIC = 0x00;
export const START_MAGIC_TEXT = "xen-3.0-x86_32p";
export const START_NR_PAGES = 0x20;
export const START_SHARED_INFO = 0x24;
export const START_FLAGS = 0x28;
export const START_STORE_MFN = 0x2c;
export const START_STORE_EVTCHN = 0x30;
export const START_CONSOLE_MFN = 0x34;
export const START_CONSOLE_EVTCHN = 0x38;
export const START_PT_BASE = 0x3c;
export const START_NR_PT_FRAMES = 0x40;
export const START_MFN_LIST = 0x44;
export const START_MOD_START = 0x48;
export const START_MOD_LEN = 0x4c;
export const START_CMD_LINE = 0x50;
export const START_CMD_LINE_BYTES = 1024;
export const START_FIRST_P2M_PFN = 0x450;
export const START_NR_P2M_FRAMES = 0x454;
export const SIF_PRIVILEGED = 1;
export const SIF_INITDOMAIN = 2;
export const SIF_MULTIBOOT_MOD = 4;
export const SIF_MOD_START_PFN = 8;

// ---------------------------------------------------------------------------------------------------------------
// Arguments of hypercalls
// ---------------------------------------------------------------------------------------------------------------

export const TRAP_INFO_BYTES = 8;
export const TRAP_INFO_VECTOR = 0;
export const TRAP_INFO_FLAGS = 1;
export const TRAP_INFO_CS = 2;
export const TRAP_INFO_ADDRESS = 4;

export const MMU_UPDATE_BYTES = 16;
export const MMU_UPDATE_PTR = 0;
export const MMU_UPDATE_VAL = 8;

export const MMUEXT_OP_BYTES = 12;
export const MMUEXT_CMD = 0;
export const MMUEXT_ARG1 = 4;
export const MMUEXT_ARG2 = 8;

export const MULTICALL_ENTRY_BYTES = 32;
export const MULTICALL_OP = 0;
export const MULTICALL_RESULT = 4;
export const MULTICALL_ARGS = 8;

/** struct vcpu_guest_context (arch-x86/xen.h). */
export const VGC_BYTES = 0xaf0;
export const VGC_FPU_CTXT = 0x000;
export const VGC_FLAGS = 0x200;
export const VGC_USER_REGS = 0x204;
export const VGC_TRAP_CTXT = 0x248;
export const VGC_LDT_BASE = 0xa48;
export const VGC_LDT_ENTS = 0xa4c;
export const VGC_GDT_FRAMES = 0xa50;
export const VGC_GDT_ENTS = 0xa90;
export const VGC_KERNEL_SS = 0xa94;
export const VGC_KERNEL_SP = 0xa98;
export const VGC_CTRLREG = 0xa9c;
export const VGC_DEBUGREG = 0xabc;
export const VGC_EVENT_CALLBACK_CS = 0xadc;
export const VGC_EVENT_CALLBACK_EIP = 0xae0;
export const VGC_FAILSAFE_CALLBACK_CS = 0xae4;
export const VGC_FAILSAFE_CALLBACK_EIP = 0xae8;
export const VGC_VM_ASSIST = 0xaec;
export const VGCF_I387_VALID = 1;
export const VGCF_IN_KERNEL = 4;
export const VGCF_FAILSAFE_DISABLES_EVENTS = 8;
export const VGCF_SYSCALL_DISABLES_EVENTS = 16;
export const VGCF_ONLINE = 32;

/** struct cpu_user_regs (arch-x86/xen-x86_32.h). */
export const CUR_EBX = 0x00;
export const CUR_ECX = 0x04;
export const CUR_EDX = 0x08;
export const CUR_ESI = 0x0c;
export const CUR_EDI = 0x10;
export const CUR_EBP = 0x14;
export const CUR_EAX = 0x18;
export const CUR_ERROR_CODE = 0x1c;
export const CUR_ENTRY_VECTOR = 0x1e;
export const CUR_EIP = 0x20;
export const CUR_CS = 0x24;
export const CUR_SAVED_UPCALL_MASK = 0x26;
export const CUR_EFLAGS = 0x28;
export const CUR_ESP = 0x2c;
export const CUR_SS = 0x30;
export const CUR_ES = 0x34;
export const CUR_DS = 0x38;
export const CUR_FS = 0x3c;
export const CUR_GS = 0x40;
export const CUR_BYTES = 0x44;

// ---------------------------------------------------------------------------------------------------------------
// Rings: console (io/console.h), xenstore (io/xs_wire.h), block (io/blkif.h), network (io/netif.h)
// ---------------------------------------------------------------------------------------------------------------

export const XENCONS_IN = 0x000;
export const XENCONS_IN_BYTES = 1024;
export const XENCONS_OUT = 0x400;
export const XENCONS_OUT_BYTES = 2048;
export const XENCONS_IN_CONS = 0xc00;
export const XENCONS_IN_PROD = 0xc04;
export const XENCONS_OUT_CONS = 0xc08;
export const XENCONS_OUT_PROD = 0xc0c;

export const XENSTORE_REQ = 0x000;
export const XENSTORE_RSP = 0x400;
export const XENSTORE_RING_BYTES = 1024;
export const XENSTORE_REQ_CONS = 0x800;
export const XENSTORE_REQ_PROD = 0x804;
export const XENSTORE_RSP_CONS = 0x808;
export const XENSTORE_RSP_PROD = 0x80c;
export const XENSTORE_SERVER_FEATURES = 0x810;
export const XENSTORE_CONNECTION = 0x814;
export const XENSTORE_ERROR = 0x818;

export const XSD_HEADER_BYTES = 16;
export const XSD_TYPE = 0;
export const XSD_REQ_ID = 4;
export const XSD_TX_ID = 8;
export const XSD_LEN = 12;
export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;

export const XS_CONTROL = 0;
export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
export const XS_RESET_WATCHES = 21;
export const XS_DIRECTORY_PART = 22;

export const XENBUS_STATE_UNKNOWN = 0;
export const XENBUS_STATE_INITIALISING = 1;
export const XENBUS_STATE_INIT_WAIT = 2;
export const XENBUS_STATE_INITIALISED = 3;
export const XENBUS_STATE_CONNECTED = 4;
export const XENBUS_STATE_CLOSING = 5;
export const XENBUS_STATE_CLOSED = 6;
export const XENBUS_STATE_RECONFIGURING = 7;
export const XENBUS_STATE_RECONFIGURED = 8;

export const SRING_REQ_PROD = 0x00;
export const SRING_REQ_EVENT = 0x04;
export const SRING_RSP_PROD = 0x08;
export const SRING_RSP_EVENT = 0x0c;
export const SRING_ENTRIES = 0x40;

export const BLKIF_ENTRY_BYTES = 0x6c;
export const BLKIF_REQ_OPERATION = 0x00;
export const BLKIF_REQ_NR_SEGMENTS = 0x01;
export const BLKIF_REQ_HANDLE = 0x02;
export const BLKIF_REQ_ID = 0x04;
export const BLKIF_REQ_SECTOR = 0x0c;
export const BLKIF_REQ_SEGMENTS = 0x14;
export const BLKIF_SEGMENT_BYTES = 8;
export const BLKIF_SEGMENT_GREF = 0;
export const BLKIF_SEGMENT_FIRST_SECTOR = 4;
export const BLKIF_SEGMENT_LAST_SECTOR = 5;
export const BLKIF_INDIRECT_OP = 0x01;
export const BLKIF_INDIRECT_NR_SEGMENTS = 0x02;
export const BLKIF_INDIRECT_ID = 0x04;
export const BLKIF_INDIRECT_SECTOR = 0x0c;
export const BLKIF_INDIRECT_HANDLE = 0x14;
export const BLKIF_INDIRECT_GREFS = 0x18;
export const BLKIF_DISCARD_NR_SECTORS = 0x14;
export const BLKIF_RSP_ID = 0x00;
export const BLKIF_RSP_OPERATION = 0x08;
export const BLKIF_RSP_STATUS = 0x0a;
export const BLKIF_MAX_SEGMENTS = 11;
export const BLKIF_OP_READ = 0;
export const BLKIF_OP_WRITE = 1;
export const BLKIF_OP_WRITE_BARRIER = 2;
export const BLKIF_OP_FLUSH_DISKCACHE = 3;
export const BLKIF_OP_DISCARD = 5;
export const BLKIF_OP_INDIRECT = 6;
export const BLKIF_RSP_OKAY = 0;
export const BLKIF_RSP_ERROR = -1;
export const BLKIF_RSP_EOPNOTSUPP = -2;

export const NETIF_TX_REQ_BYTES = 12;
export const NETIF_TX_GREF = 0;
export const NETIF_TX_OFFSET = 4;
export const NETIF_TX_FLAGS = 6;
export const NETIF_TX_ID = 8;
export const NETIF_TX_SIZE = 10;
export const NETIF_TX_RSP_ID = 0;
export const NETIF_TX_RSP_STATUS = 2;
export const NETIF_RX_BYTES = 8;
export const NETIF_RX_REQ_ID = 0;
export const NETIF_RX_REQ_GREF = 4;
export const NETIF_RX_RSP_ID = 0;
export const NETIF_RX_RSP_OFFSET = 2;
export const NETIF_RX_RSP_FLAGS = 4;
export const NETIF_RX_RSP_STATUS = 6;
export const NETTXF_CSUM_BLANK = 1;
export const NETTXF_DATA_VALIDATED = 2;
export const NETTXF_MORE_DATA = 4;
export const NETTXF_EXTRA_INFO = 8;
export const NETRXF_DATA_VALIDATED = 1;
export const NETRXF_CSUM_BLANK = 2;
export const NETRXF_MORE_DATA = 4;
export const NETIF_RSP_OKAY = 0;
export const NETIF_RSP_ERROR = -1;
export const NETIF_RSP_DROPPED = -2;

// ---------------------------------------------------------------------------------------------------------------
// ELF notes of the owner "Xen" (elfnote.h)
// ---------------------------------------------------------------------------------------------------------------

export const XEN_ELFNOTE_INFO = 0;
export const XEN_ELFNOTE_ENTRY = 1;
export const XEN_ELFNOTE_HYPERCALL_PAGE = 2;
export const XEN_ELFNOTE_VIRT_BASE = 3;
export const XEN_ELFNOTE_PADDR_OFFSET = 4;
export const XEN_ELFNOTE_XEN_VERSION = 5;
export const XEN_ELFNOTE_GUEST_OS = 6;
export const XEN_ELFNOTE_GUEST_VERSION = 7;
export const XEN_ELFNOTE_LOADER = 8;
export const XEN_ELFNOTE_PAE_MODE = 9;
export const XEN_ELFNOTE_FEATURES = 10;
export const XEN_ELFNOTE_BSD_SYMTAB = 11;
export const XEN_ELFNOTE_HV_START_LOW = 12;
export const XEN_ELFNOTE_L1_MFN_VALID = 13;
export const XEN_ELFNOTE_SUSPEND_CANCEL = 14;
export const XEN_ELFNOTE_INIT_P2M = 15;
export const XEN_ELFNOTE_MOD_START_PFN = 16;
export const XEN_ELFNOTE_SUPPORTED_FEATURES = 17;

/** Spellings of XEN_ELFNOTE_PAE_MODE that a PAE host takes; other kernels use two-level tables. */
export const XEN_PAE_MODES = ["yes", "bimodal"];

// ---------------------------------------------------------------------------------------------------------------
// Grant-table entries and the structures of sub-operations (grant_table.h, memory.h, event_channel.h, vcpu.h, sched.h, version.h)
// ---------------------------------------------------------------------------------------------------------------

export const GRANT_V1_BYTES = 8;
/** Flags and domain are at the same place in both versions. */
export const GRANT_V1_FLAGS = 0;
export const GRANT_V1_DOMID = 2;
export const GRANT_V1_FRAME = 4;
export const GRANT_V2_BYTES = 16;
export const GRANT_V2_FRAME = 8;
/** With GTF_SUB_PAGE: which bytes of the page. */
export const GRANT_V2_OFFSET = 4;
export const GRANT_V2_LENGTH = 6;
/** Of type GTF_TRANSITIVE: whose grant is passed on. */
export const GRANT_V2_TRANS_DOMID = 4;
export const GRANT_V2_TRANS_REF = 8;

export const GNTTAB_SETUP_BYTES = 0x10;
export const GNTTAB_SETUP_DOM = 0x00;
export const GNTTAB_SETUP_NR_FRAMES = 0x04;
export const GNTTAB_SETUP_STATUS = 0x08;
export const GNTTAB_SETUP_FRAME_LIST = 0x0c;
export const GNTTAB_QUERY_BYTES = 0x10;
export const GNTTAB_QUERY_DOM = 0x00;
export const GNTTAB_QUERY_NR_FRAMES = 0x04;
export const GNTTAB_QUERY_MAX_FRAMES = 0x08;
export const GNTTAB_QUERY_STATUS = 0x0c;
export const GNTTAB_SET_VERSION_BYTES = 4;
export const GNTTAB_GET_VERSION_BYTES = 8;
export const GNTTAB_GET_VERSION_DOM = 0;
export const GNTTAB_GET_VERSION_VERSION = 4;
export const GNTTAB_STATUS_FRAMES_BYTES = 0x10;
export const GNTTAB_STATUS_FRAMES_NR = 0x00;
export const GNTTAB_STATUS_FRAMES_DOM = 0x04;
export const GNTTAB_STATUS_FRAMES_STATUS = 0x06;
export const GNTTAB_STATUS_FRAMES_LIST = 0x08;
export const GNTTAB_MAP_BYTES = 0x20;
export const GNTTAB_MAP_HOST_ADDR = 0x00;
export const GNTTAB_MAP_FLAGS = 0x08;
export const GNTTAB_MAP_REF = 0x0c;
export const GNTTAB_MAP_DOM = 0x10;
export const GNTTAB_MAP_STATUS = 0x12;
export const GNTTAB_MAP_HANDLE = 0x14;
export const GNTTAB_MAP_DEV_BUS_ADDR = 0x18;
export const GNTTAB_UNMAP_BYTES = 0x18;
export const GNTTAB_UNMAP_HOST_ADDR = 0x00;
export const GNTTAB_UNMAP_DEV_BUS_ADDR = 0x08;
export const GNTTAB_UNMAP_HANDLE = 0x10;
export const GNTTAB_UNMAP_STATUS = 0x14;
export const GNTTAB_UNMAP_REPLACE_BYTES = 0x18;
/** The rest as in struct gnttab_unmap_grant_ref. */
export const GNTTAB_UNMAP_REPLACE_NEW_ADDR = 0x08;
export const GNTTAB_TRANSFER_BYTES = 0x10;
export const GNTTAB_TRANSFER_MFN = 0x00;
export const GNTTAB_TRANSFER_DOMID = 0x04;
export const GNTTAB_TRANSFER_REF = 0x08;
export const GNTTAB_TRANSFER_STATUS = 0x0c;
export const GNTTAB_SWAP_BYTES = 0x0c;
export const GNTTAB_SWAP_REF_A = 0x00;
export const GNTTAB_SWAP_REF_B = 0x04;
export const GNTTAB_SWAP_STATUS = 0x08;
export const GNTTAB_COPY_BYTES = 0x18;
export const GNTTAB_COPY_SOURCE = 0x00;
export const GNTTAB_COPY_DEST = 0x08;
/** Of a source or destination: u32 reference or mfn, u16 domid, u16 offset. */
export const GNTTAB_COPY_PTR_DOMID = 4;
export const GNTTAB_COPY_PTR_OFFSET = 6;
export const GNTTAB_COPY_LEN = 0x10;
export const GNTTAB_COPY_FLAGS = 0x12;
export const GNTTAB_COPY_STATUS = 0x14;
export const GNTTAB_CACHE_FLUSH_BYTES = 0x10;
export const GNTTAB_CACHE_FLUSH_ADDR = 0x00;
export const GNTTAB_CACHE_FLUSH_OFFSET = 0x08;
export const GNTTAB_CACHE_FLUSH_LENGTH = 0x0a;
export const GNTTAB_CACHE_FLUSH_OP = 0x0c;

export const XENMEM_RESERVATION_BYTES = 0x14;
export const XENMEM_RESERVATION_EXTENTS = 0x00;
export const XENMEM_RESERVATION_NR = 0x04;
export const XENMEM_RESERVATION_ORDER = 0x08;
export const XENMEM_RESERVATION_FLAGS = 0x0c;
export const XENMEM_RESERVATION_DOMID = 0x10;
export const XENMEM_EXCHANGE_BYTES = 0x2c;
export const XENMEM_EXCHANGE_IN = 0x00;
export const XENMEM_EXCHANGE_OUT = 0x14;
export const XENMEM_EXCHANGE_DONE = 0x28;
export const XENMEM_MFN_LIST_BYTES = 0x0c;
export const XENMEM_MFN_LIST_MAX = 0x00;
export const XENMEM_MFN_LIST_EXTENTS = 0x04;
export const XENMEM_MFN_LIST_NR = 0x08;
export const XENMEM_MEMORY_MAP_BYTES = 8;
export const XENMEM_MEMORY_MAP_BUFFER = 4;
export const XENMEM_FOREIGN_MAP_BYTES = 12;
export const XENMEM_FOREIGN_MAP_NR = 4;
export const XENMEM_FOREIGN_MAP_BUFFER = 8;
export const E820_BYTES = 20;
export const E820_SIZE = 8;
export const E820_TYPE = 16;
export const E820_RAM = 1;
export const XENMEM_ADD_TO_PHYSMAP_BYTES = 0x10;
export const XENMEM_ADD_TO_PHYSMAP_SPACE = 0x04;
export const XENMEM_ADD_BATCH_BYTES = 0x14;
export const XENMEM_ADD_BATCH_SPACE = 0x02;
export const XENMEM_REMOVE_BYTES = 8;
export const XENMEM_ACCESS_BYTES = 0x18;
export const XENMEM_ACCESS_DOMID = 0x02;
export const XENMEM_POD_BYTES = 0x28;
export const XENMEM_POD_DOMID = 0x20;
export const XENMEM_VNUMA_BYTES = 0x28;
export const XENMEM_VNUMA_PAD = 0x02;
export const XENMEM_RDM_BYTES = 0x10;
export const XENMEM_RDM_FLAGS = 0x00;
export const XENMEM_RDM_NR = 0x04;
export const XENMEM_ACQUIRE_BYTES = 0x20;
export const XENMEM_ACQUIRE_NR = 0x08;
export const XENMEM_ACQUIRE_PAD = 0x0c;
export const XENMEM_ACQUIRE_FRAME = 0x10;

export const EVTCHN_STATUS_BYTES = 0x18;
export const EVTCHN_INIT_CONTROL_BYTES = 0x18;
export const EVTCHN_INIT_CONTROL_GFN = 0x00;
export const EVTCHN_INIT_CONTROL_OFFSET = 0x08;
export const EVTCHN_INIT_CONTROL_VCPU = 0x0c;
export const EVTCHN_INIT_CONTROL_LINK_BITS = 0x10;
/** struct evtchn_fifo_control_block: which queues have something, and the first port of each. */
export const EVTCHN_FIFO_CONTROL_BYTES = 0x48;
export const EVTCHN_FIFO_READY = 0x00;
export const EVTCHN_FIFO_HEADS = 0x08;

/** Structures of calls that are for domains with privileges, as far as their sizes matter. */
export const PLATFORM_OP_BYTES = 0x88;
export const SYSCTL_BYTES = 0x88;
export const DOMCTL_BYTES = 0x90;
export const DOMCTL_DOMAIN = 0x08;
export const INTERFACE_VERSION = 0x04;
export const DM_OP_BUFFER_BYTES = 8;
export const HVM_PARAM_BYTES = 0x10;
export const HVM_PARAM_INDEX = 0x04;
export const HVM_MEM_TYPE_BYTES = 0x10;
export const HVM_PAGETABLE_DYING_BYTES = 0x10;
export const HVM_XENTRACE_BYTES = 0x20;
export const HVM_XENTRACE_DATA_BYTES = 28;
export const HVM_ALTP2M_BYTES = 0x10;
export const EVTCHN_OP_BYTES = 0x1c;
export const PHYSDEV_OP_BYTES = 0x10;

export const SCHED_POLL_BYTES = 0x10;
export const SCHED_POLL_PORTS = 0x00;
export const SCHED_POLL_NR_PORTS = 0x04;
export const SCHED_POLL_TIMEOUT = 0x08;

export const XEN_COMPILE_INFO_BYTES = 0x90;
export const XEN_EXTRAVERSION_BYTES = 16;
export const XEN_CAPABILITIES_BYTES = 1024;
export const XEN_CHANGESET_BYTES = 64;
export const XEN_COMMANDLINE_BYTES = 1024;
export const XEN_GUEST_HANDLE_BYTES = 16;
