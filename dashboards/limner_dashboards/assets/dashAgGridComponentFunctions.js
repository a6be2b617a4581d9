/* Cells of the tables that are links; the text is set as text, never as HTML. */
var dagcomponentfuncs = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

dagcomponentfuncs.PageLink = function (props) {
    return React.createElement("a", { href: props.data.href, className: "grid-link" }, props.value);
};
